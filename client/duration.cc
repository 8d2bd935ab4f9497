#include "client/duration.h"

#include <array>
#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace mneme::client {
namespace {

struct Unit {
  char letter;
  int64_t seconds;
};

// Largest first.
constexpr std::array<Unit, 5> kUnits = {
    {{'w', 7 * 24 * 3600}, {'d', 24 * 3600}, {'h', 3600}, {'m', 60}, {'s', 1}}};
// Beyond what any server takes, and no unit of it overflows.
constexpr int64_t kCountMax = 1'000'000'000'000;

}  // namespace

absl::StatusOr<google::protobuf::Duration> ParseDuration(
    const std::string& text, const std::string& field) {
  const std::string digits = text.substr(0, text.empty() ? 0 : text.size() - 1);
  int64_t count = 0;
  for (const Unit& unit : kUnits) {
    if (text.empty() || text.back() != unit.letter) continue;
    if (digits.find_first_not_of("0123456789") != std::string::npos ||
        !absl::SimpleAtoi(digits, &count) || count > kCountMax) {
      break;
    }
    google::protobuf::Duration duration;
    duration.set_seconds(count * unit.seconds);
    return duration;
  }
  return base::InvalidField(field, base::Quoted(text),
                            "a number and s, m, h, d or w, such as 30d");
}

std::string FormatDuration(const google::protobuf::Duration& duration) {
  if (duration.nanos() != 0) {
    return absl::StrCat(
        static_cast<double>(duration.seconds()) + duration.nanos() * 1e-9, "s");
  }
  for (const Unit& unit : kUnits) {
    if (duration.seconds() % unit.seconds != 0) continue;
    return absl::StrCat(duration.seconds() / unit.seconds,
                        std::string(1, unit.letter));
  }
  return "";
}

}  // namespace mneme::client
