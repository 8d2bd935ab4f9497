#include "client/units.h"

#include <cmath>
#include <cstdint>

#include "absl/strings/str_format.h"

namespace mneme::client {

std::string HumanBytes(double bytes) {
  constexpr const char* kUnits[] = {"kB", "MB", "GB", "TB"};
  // Rounding decides the unit, so that 999,960 is 1.0 MB and not 1000.0 kB.
  if (std::round(bytes) < 1000) return absl::StrFormat("%.0f B", bytes);
  size_t unit = 0;
  double scaled = bytes / 1000;
  while (unit + 1 < std::size(kUnits) && std::round(scaled * 10) >= 10000) {
    scaled /= 1000;
    ++unit;
  }
  return absl::StrFormat("%.1f %s", scaled, kUnits[unit]);
}

std::string HumanSeconds(double seconds) {
  if (seconds < 9.95) return absl::StrFormat("%.1f s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 60) return absl::StrFormat("%d s", whole);
  if (whole < 3600) return absl::StrFormat("%d:%02d", whole / 60, whole % 60);
  return absl::StrFormat("%d:%02d:%02d", whole / 3600, whole / 60 % 60,
                         whole % 60);
}

}  // namespace mneme::client
