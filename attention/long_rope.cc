#include "attention/long_rope.h"

#include <cmath>

#include "attention/rope.h"

namespace mneme::attention {

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

}  // namespace mneme::attention
