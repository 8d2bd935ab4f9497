#include "attention/interpolation.h"

#include "attention/rope.h"

namespace mneme::attention {

std::vector<double> LinearFrequencies(double theta, int rotary_dim,
                                      const LinearConfig& linear) {
  std::vector<double> frequencies = RopeFrequencies(theta, rotary_dim);
  for (double& f : frequencies) f /= linear.factor;
  return frequencies;
}

}  // namespace mneme::attention
