#include "attention/rope.h"

#include <cmath>

namespace mneme::attention {

std::vector<double> RopeFrequencies(double theta, int rotary_dim) {
  std::vector<double> frequencies(rotary_dim / 2);
  for (size_t j = 0; j < frequencies.size(); ++j) {
    frequencies[j] =
        std::pow(theta, -2.0 * static_cast<double>(j) / rotary_dim);
  }
  return frequencies;
}

}  // namespace mneme::attention
