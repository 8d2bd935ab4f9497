// attention/interpolation.h: rotary positions squeezed into the trained range.

#ifndef MNEME_ATTENTION_INTERPOLATION_H_
#define MNEME_ATTENTION_INTERPOLATION_H_

#include <vector>

namespace mneme::attention {

// Position Interpolation (Chen et al., arXiv 2306.15595, eq. 4): b_j / factor.
struct LinearConfig {
  double factor = 1;  // Extended length over original length.

  friend bool operator==(const LinearConfig&, const LinearConfig&) = default;
};
std::vector<double> LinearFrequencies(double theta, int rotary_dim,
                                      const LinearConfig& linear);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_INTERPOLATION_H_
