#include "attention/ntk.h"

#include <cmath>

#include "attention/rope.h"
#include "attention/rope_ramp.h"

namespace mneme::attention {
namespace {

// theta^(...) whose slowest pair turns alpha times slower.
double NtkBase(double theta, int rotary_dim, double alpha) {
  return theta * std::pow(alpha, rotary_dim / (rotary_dim - 2.0));
}

}  // namespace

std::vector<double> NtkAwareFrequencies(double theta, int rotary_dim,
                                        const NtkAwareConfig& ntk) {
  return RopeFrequencies(NtkBase(theta, rotary_dim, ntk.alpha), rotary_dim);
}

std::vector<double> NtkByPartsFrequencies(double theta, int rotary_dim,
                                          const NtkByPartsConfig& parts) {
  const auto length = static_cast<double>(parts.original_length);
  const std::vector<double> beta = RopeRamp(
      theta, rotary_dim, {length, parts.beta_fast, parts.beta_slow, true});
  const std::vector<double> gamma = RopeRamp(
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

}  // namespace mneme::attention
