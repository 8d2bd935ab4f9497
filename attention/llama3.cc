#include "attention/llama3.h"

#include <algorithm>
#include <numbers>

#include "attention/rope.h"

namespace mneme::attention {

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

}  // namespace mneme::attention
