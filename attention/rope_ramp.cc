#include "attention/rope_ramp.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mneme::attention {

std::vector<double> RopeRamp(double theta, int rotary_dim,
                             const RampTurns& turns) {
  // The (fractional) pair that turns `count` times.
  const auto pair_turning = [&](double count) {
    return rotary_dim *
           std::log(turns.length / (count * 2 * std::numbers::pi)) /
           (2 * std::log(theta));
  };
  double low = pair_turning(turns.fast);
  double high = pair_turning(turns.slow);
  if (turns.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(rotary_dim - 1));
  // The checkpoints' code guards a ramp of no width with this constant.
  const double width = high == low ? 0.001 : high - low;
  std::vector<double> weights(rotary_dim / 2);
  for (size_t j = 0; j < weights.size(); ++j) {
    weights[j] =
        1 - std::clamp((static_cast<double>(j) - low) / width, 0.0, 1.0);
  }
  return weights;
}

}  // namespace mneme::attention
