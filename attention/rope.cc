#include "attention/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mneme::attention {

std::vector<double> RopeFrequencies(double theta, int rotary_dim) {
  std::vector<double> frequencies(rotary_dim / 2);
  for (size_t j = 0; j < frequencies.size(); ++j) {
    frequencies[j] =
        std::pow(theta, -2.0 * static_cast<double>(j) / rotary_dim);
  }
  return frequencies;
}

std::vector<double> YarnFrequencies(double theta, int rotary_dim,
                                    const YarnConfig& yarn) {
  const double length = static_cast<double>(yarn.original_length);
  // The (fractional) pair that turns `turns` times within the original length.
  const auto pair_turning = [&](double turns) {
    return rotary_dim * std::log(length / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(theta));
  };
  const double low = std::max(std::floor(pair_turning(yarn.beta_fast)), 0.0);
  const double high = std::min(std::ceil(pair_turning(yarn.beta_slow)),
                               static_cast<double>(rotary_dim - 1));
  // The checkpoints' code guards a ramp of no width with this constant.
  const double width = high == low ? 0.001 : high - low;

  std::vector<double> frequencies = RopeFrequencies(theta, rotary_dim);
  for (size_t j = 0; j < frequencies.size(); ++j) {
    const double ramp =
        std::clamp((static_cast<double>(j) - low) / width, 0.0, 1.0);
    const double kept = (1 - ramp) * yarn.extrapolation_factor;
    frequencies[j] =
        frequencies[j] / yarn.factor * (1 - kept) + frequencies[j] * kept;
  }
  return frequencies;
}

double YarnAttentionFactor(const YarnConfig& yarn) {
  if (yarn.attention_factor.has_value()) return *yarn.attention_factor;
  const double growth =
      yarn.factor <= 1 ? 1.0 : 0.1 * std::log(yarn.factor) + 1.0;
  return growth * yarn.attn_factor;
}

}  // namespace mneme::attention
