#include "base/trace_parent.h"

#include <algorithm>
#include <cstddef>

namespace mneme::base {
namespace {

constexpr size_t kVersionDigits = 2;
constexpr size_t kTraceIdDigits = 32;
constexpr size_t kSpanIdDigits = 16;
constexpr size_t kFlagsDigits = 2;
constexpr size_t kBytes =
    kVersionDigits + 1 + kTraceIdDigits + 1 + kSpanIdDigits + 1 + kFlagsDigits;

bool IsHex(std::string_view digits) {
  return digits.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool IsZero(std::string_view digits) {
  return digits.find_first_not_of('0') == std::string_view::npos;
}

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

}  // namespace

bool IsTraceParent(std::string_view header) {
  std::string_view rest = header;
  std::string_view version;
  std::string_view trace;
  std::string_view span;
  std::string_view flags;
  if (!Take(rest, kVersionDigits, version) ||
      !Take(rest, kTraceIdDigits, trace) || !Take(rest, kSpanIdDigits, span) ||
      !Take(rest, kFlagsDigits, flags)) {
    return false;
  }
  return version != "ff" && (version != "00" || header.size() == kBytes) &&
         !IsZero(trace) && !IsZero(span) &&
         std::all_of(rest.begin(), rest.end(),
                     [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace mneme::base
