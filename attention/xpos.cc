#include "attention/xpos.h"

#include <algorithm>
#include <cmath>

namespace mneme::attention {
namespace {

constexpr double kGamma = 0.4;

}  // namespace

int64_t XposSafeSpan(const XposConfig& xpos) {
  const double steepest = std::log((1 + kGamma) / kGamma);  // Of pair 0.
  // A scale base may be anything; positions end at 2^53.
  return static_cast<int64_t>(
      std::min(kXposExponentMax * xpos.scale_base / steepest, 0x1p53));
}

std::vector<double> XposLogScales(int rotary_dim) {
  std::vector<double> scales(rotary_dim / 2);
  for (size_t j = 0; j < scales.size(); ++j) {
    scales[j] = std::log((2.0 * static_cast<double>(j) / rotary_dim + kGamma) /
                         (1 + kGamma));
  }
  return scales;
}

void XposMagnitudes(const XposConfig& xpos, std::span<const double> log_scales,
                    int64_t offset, bool key_side, float* magnitudes) {
  const double power =
      static_cast<double>(key_side ? -offset : offset) / xpos.scale_base;
  for (size_t j = 0; j < log_scales.size(); ++j) {
    magnitudes[j] = static_cast<float>(std::exp(std::clamp(
        power * log_scales[j], -kXposExponentMax, kXposExponentMax)));
  }
}

}  // namespace mneme::attention
