#include "attention/yarn.h"

#include <cmath>

#include "attention/rope.h"
#include "attention/rope_ramp.h"

namespace mneme::attention {
namespace {

// 0.1 * weight * ln(factor) + 1, of arXiv 2309.00071, eq. 22.
double MagnitudeScale(double factor, double weight) {
  return factor <= 1 ? 1.0 : 0.1 * weight * std::log(factor) + 1.0;
}

}  // namespace

std::vector<double> YarnFrequencies(double theta, int rotary_dim,
                                    const YarnConfig& yarn) {
  const std::vector<double> ramp =
      RopeRamp(theta, rotary_dim,
               {static_cast<double>(yarn.original_length), yarn.beta_fast,
                yarn.beta_slow, yarn.truncate});
  std::vector<double> frequencies = RopeFrequencies(theta, rotary_dim);
  for (size_t j = 0; j < frequencies.size(); ++j) {
    const double kept = ramp[j] * yarn.extrapolation_factor;
    frequencies[j] =
        frequencies[j] / yarn.factor * (1 - kept) + frequencies[j] * kept;
  }
  return frequencies;
}

double YarnAttentionFactor(const YarnConfig& yarn) {
  if (yarn.attention_factor.has_value()) return *yarn.attention_factor;
  return MagnitudeScale(yarn.factor, yarn.mscale) /
         MagnitudeScale(yarn.factor, yarn.mscale_all_dim) * yarn.attn_factor;
}

}  // namespace mneme::attention
