#include "service/trace_context.h"

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/trace_parent.h"

namespace mneme::service {
namespace {

// Of version 00, which later ones begin with.
constexpr size_t kTraceIdAt = 3;
constexpr size_t kTraceIdDigits = 32;
constexpr size_t kSpanIdAt = 36;
constexpr size_t kSpanIdDigits = 16;
constexpr size_t kLastFlagAt = 54;

constexpr size_t kStateMembersMax = 32;
// The specification asks for 512 at least.
constexpr size_t kStateBytesMax = 8 << 10;
constexpr size_t kKeyBytesMax = 256;
constexpr size_t kTenantBytesMax = 241;
constexpr size_t kSystemBytesMax = 14;
constexpr size_t kValueBytesMax = 256;

int DigitOf(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

bool IsKeyPart(std::string_view part, size_t bytes_max, bool digit_first) {
  if (part.empty() || part.size() > bytes_max) return false;
  if (!absl::ascii_islower(part[0]) &&
      !(digit_first && absl::ascii_isdigit(part[0]))) {
    return false;
  }
  return std::all_of(part.begin(), part.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_' ||
           c == '-' || c == '*' || c == '/';
  });
}

bool IsKey(std::string_view key) {
  const size_t at = key.find('@');
  if (at == std::string_view::npos) {
    return IsKeyPart(key, kKeyBytesMax, /*digit_first=*/false);
  }
  return IsKeyPart(key.substr(0, at), kTenantBytesMax, /*digit_first=*/true) &&
         IsKeyPart(key.substr(at + 1), kSystemBytesMax, /*digit_first=*/false);
}

bool IsValue(std::string_view value) {
  return !value.empty() && value.size() <= kValueBytesMax &&
         value.back() != ' ' &&
         std::all_of(value.begin(), value.end(), [](char c) {
           return c >= ' ' && c <= '~' && c != ',' && c != '=';
         });
}

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

}  // namespace

std::optional<TraceSpan> ParseTraceParent(std::string_view header) {
  if (!base::IsTraceParent(header)) return std::nullopt;
  return TraceSpan{
      .trace_id = std::string(header.substr(kTraceIdAt, kTraceIdDigits)),
      .span_id = std::string(header.substr(kSpanIdAt, kSpanIdDigits)),
      .sampled = DigitOf(header[kLastFlagAt]) % 2 == 1};
}

std::string FormatTraceParent(const TraceSpan& span) {
  return absl::StrCat("00-", span.trace_id, "-", span.span_id,
                      span.sampled ? "-01" : "-00");
}

bool IsTraceState(std::string_view header) {
  if (header.empty() || header.size() > kStateBytesMax) return false;
  std::set<std::string_view> keys;
  while (true) {
    const size_t comma = header.find(',');
    const std::string_view member = Trimmed(header.substr(0, comma));
    if (!member.empty()) {  // Empty ones are allowed, for what joins headers.
      const size_t equals = member.find('=');
      if (equals == std::string_view::npos) return false;
      const std::string_view key = member.substr(0, equals);
      if (!IsKey(key) || !IsValue(member.substr(equals + 1)) ||
          !keys.insert(key).second || keys.size() > kStateMembersMax) {
        return false;
      }
    }
    if (comma == std::string_view::npos) return !keys.empty();
    header.remove_prefix(comma + 1);
  }
}

TraceSpan ChildOf(const TraceSpan& parent) {
  thread_local std::mt19937_64 random{(uint64_t{std::random_device{}()} << 32) ^
                                      std::random_device{}()};
  TraceSpan child = parent;
  // 0 is no span.
  child.span_id = absl::StrFormat(
      "%016x", std::uniform_int_distribution<uint64_t>(1)(random));
  return child;
}

}  // namespace mneme::service
