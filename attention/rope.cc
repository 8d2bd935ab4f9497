#include "attention/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mneme::attention {
namespace {

// Weights that fall from 1 at the pair that turns `fast` times within `length`
// positions to 0 at the one that turns `slow` times, linearly in the index.
struct Turns {
  double length;
  double fast;
  double slow;
  bool truncate;  // Ends the ramp at whole pairs.
};

std::vector<double> Ramp(double theta, int rotary_dim, const Turns& turns) {
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

// theta^(...) whose slowest pair turns alpha times slower.
double NtkBase(double theta, int rotary_dim, double alpha) {
  return theta * std::pow(alpha, rotary_dim / (rotary_dim - 2.0));
}

// 0.1 * weight * ln(factor) + 1, of arXiv 2309.00071, eq. 22.
double MagnitudeScale(double factor, double weight) {
  return factor <= 1 ? 1.0 : 0.1 * weight * std::log(factor) + 1.0;
}

}  // namespace

std::vector<double> RopeFrequencies(double theta, int rotary_dim) {
  std::vector<double> frequencies(rotary_dim / 2);
  for (size_t j = 0; j < frequencies.size(); ++j) {
    frequencies[j] =
        std::pow(theta, -2.0 * static_cast<double>(j) / rotary_dim);
  }
  return frequencies;
}

std::vector<double> LinearFrequencies(double theta, int rotary_dim,
                                      const LinearConfig& linear) {
  std::vector<double> frequencies = RopeFrequencies(theta, rotary_dim);
  for (double& f : frequencies) f /= linear.factor;
  return frequencies;
}

std::vector<double> NtkAwareFrequencies(double theta, int rotary_dim,
                                        const NtkAwareConfig& ntk) {
  return RopeFrequencies(NtkBase(theta, rotary_dim, ntk.alpha), rotary_dim);
}

std::vector<double> NtkByPartsFrequencies(double theta, int rotary_dim,
                                          const NtkByPartsConfig& parts) {
  const auto length = static_cast<double>(parts.original_length);
  const std::vector<double> beta =
      Ramp(theta, rotary_dim, {length, parts.beta_fast, parts.beta_slow, true});
  const std::vector<double> gamma = Ramp(
      theta, rotary_dim, {length, parts.gamma_fast, parts.gamma_slow, true});
  const std::vector<double> base = RopeFrequencies(theta, rotary_dim);
  std::vector<double> frequencies =
      RopeFrequencies(NtkBase(theta, rotary_dim, parts.factor), rotary_dim);
  for (size_t j = 0; j < frequencies.size(); ++j) {
    const double ntk = beta[j] * parts.ntk_factor;
    const double kept = gamma[j] * parts.extrapolation_factor;
    const double slowed =
        base[j] / parts.factor * (1 - ntk) + frequencies[j] * ntk;
    frequencies[j] = slowed * (1 - kept) + base[j] * kept;
  }
  return frequencies;
}

std::vector<double> DynamicNtkFrequencies(double theta, int rotary_dim,
                                          const DynamicNtkConfig& dynamic,
                                          int64_t length) {
  if (length <= dynamic.max_position) return RopeFrequencies(theta, rotary_dim);
  const double growth =
      static_cast<double>(length) / static_cast<double>(dynamic.max_position);
  const double alpha = dynamic.factor * growth - (dynamic.factor - 1);
  return NtkAwareFrequencies(theta, rotary_dim, {.alpha = alpha});
}

std::vector<double> LongRopeFrequencies(double theta, int rotary_dim,
                                        const LongRopeConfig& long_rope,
                                        int64_t length) {
  const std::vector<double>& factors = length > long_rope.original_length
                                           ? long_rope.long_factors
                                           : long_rope.short_factors;
  std::vector<double> frequencies = RopeFrequencies(theta, rotary_dim);
  for (size_t j = 0; j < frequencies.size(); ++j) frequencies[j] /= factors[j];
  return frequencies;
}

double LongRopeAttentionFactor(const LongRopeConfig& long_rope) {
  if (long_rope.attention_factor.has_value()) {
    return *long_rope.attention_factor;
  }
  if (long_rope.max_position <= long_rope.original_length) return 1;
  const auto original = static_cast<double>(long_rope.original_length);
  const double growth = static_cast<double>(long_rope.max_position) / original;
  return std::sqrt(1 + std::log(growth) / std::log(original));
}

std::vector<double> Llama3Frequencies(double theta, int rotary_dim,
                                      const Llama3Config& llama3) {
  std::vector<double> frequencies = RopeFrequencies(theta, rotary_dim);
  for (double& f : frequencies) {
    const double turns = static_cast<double>(llama3.original_length) * f /
                         (2 * std::numbers::pi);
    const double kept =
        std::clamp((turns - llama3.low_freq_factor) /
                       (llama3.high_freq_factor - llama3.low_freq_factor),
                   0.0, 1.0);
    f = f / llama3.factor * (1 - kept) + f * kept;
  }
  return frequencies;
}

std::vector<double> YarnFrequencies(double theta, int rotary_dim,
                                    const YarnConfig& yarn) {
  const std::vector<double> ramp =
      Ramp(theta, rotary_dim,
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
