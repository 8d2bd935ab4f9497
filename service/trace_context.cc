#include "service/trace_context.h"

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace mneme::service {
namespace {

constexpr size_t kVersionDigits = 2;
constexpr size_t kTraceIdDigits = 32;
constexpr size_t kSpanIdDigits = 16;
constexpr size_t kFlagsDigits = 2;
constexpr size_t kBytes =
    kVersionDigits + 1 + kTraceIdDigits + 1 + kSpanIdDigits + 1 + kFlagsDigits;

constexpr size_t kStateMembersMax = 32;
// The specification asks for 512 at least.
constexpr size_t kStateBytesMax = 8 << 10;
constexpr size_t kKeyBytesMax = 256;
constexpr size_t kTenantBytesMax = 241;
constexpr size_t kSystemBytesMax = 14;
constexpr size_t kValueBytesMax = 256;

bool IsHex(std::string_view digits) {
  return digits.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool IsZero(std::string_view digits) {
  return digits.find_first_not_of('0') == std::string_view::npos;
}

int DigitOf(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

// The first `digits` of `rest` and the dash behind them are taken from it.
bool Take(std::string_view& rest, size_t digits, std::string_view& taken) {
  if (rest.size() < digits) return false;
  taken = rest.substr(0, digits);
  rest.remove_prefix(digits);
  if (!rest.empty()) {
    if (rest[0] != '-') return false;
    rest.remove_prefix(1);
    if (rest.empty()) return false;
  }
  return IsHex(taken);
}

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
  if (header.size() < kBytes) return std::nullopt;
  std::string_view rest = header;
  std::string_view version;
  std::string_view trace;
  std::string_view span;
  std::string_view flags;
  if (!Take(rest, kVersionDigits, version) ||
      !Take(rest, kTraceIdDigits, trace) || !Take(rest, kSpanIdDigits, span) ||
      !Take(rest, kFlagsDigits, flags)) {
    return std::nullopt;
  }
  if (version == "ff" || (version == "00" && header.size() != kBytes) ||
      IsZero(trace) || IsZero(span)) {
    return std::nullopt;
  }
  return TraceSpan{.trace_id = std::string(trace),
                   .span_id = std::string(span),
                   .sampled = DigitOf(flags[1]) % 2 == 1};
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
