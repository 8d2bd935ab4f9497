// attention/ntk.h: rotary positions whose base grows with the context.

#ifndef MNEME_ATTENTION_NTK_H_
#define MNEME_ATTENTION_NTK_H_

#include <cstdint>
#include <vector>

namespace mneme::attention {

// NTK-aware: RoPE of theta * alpha^(n/(n-2)), which interpolates the slowest
// pair by alpha and leaves the fastest (Peng et al., arXiv 2309.00071,
// definition 1). Slow pairs still extrapolate a little, so alpha is chosen
// above the ratio of the lengths.
// REQUIRES: rotary_dim > 2.
struct NtkAwareConfig {
  double alpha = 1;

  friend bool operator==(const NtkAwareConfig&,
                         const NtkAwareConfig&) = default;
};
std::vector<double> NtkAwareFrequencies(double theta, int rotary_dim,
                                        const NtkAwareConfig& ntk);

// NTK-by-parts in the form of YaRN's published code, which blends twice:
// interpolated with NTK-aware frequencies by the beta ramp, then those with
// RoPE's by the gamma ramp. A ramp falls from 1 at pairs that turn `fast` times
// within the original length to 0 at those that turn `slow` times, linearly in
// the pair's index.
// REQUIRES: rotary_dim > 2.
struct NtkByPartsConfig {
  double factor = 1;            // Extended length over original length.
  int64_t original_length = 0;  // Positions the model was trained on.
  double beta_fast = 1.25;      // Turns; beta_0 and beta_1 in the code.
  double beta_slow = 0.75;
  double gamma_fast = 16;  // Turns; gamma_0 and gamma_1 in the code.
  double gamma_slow = 2;
  double ntk_factor = 1;            // Weight of the beta ramp.
  double extrapolation_factor = 1;  // Weight of the gamma ramp.

  friend bool operator==(const NtkByPartsConfig&,
                         const NtkByPartsConfig&) = default;
};
std::vector<double> NtkByPartsFrequencies(double theta, int rotary_dim,
                                          const NtkByPartsConfig& parts);

// Dynamic NTK: RoPE up to max_position, beyond it NTK-aware with
// alpha = factor * length / max_position - (factor - 1) (arXiv 2309.00071,
// section 3.3, in the form of the public checkpoints' code). A pure function of
// the length: sequences do not influence each other.
// REQUIRES: rotary_dim > 2.
struct DynamicNtkConfig {
  double factor = 1;
  int64_t max_position = 0;  // Positions the model was trained on.

  friend bool operator==(const DynamicNtkConfig&,
                         const DynamicNtkConfig&) = default;
};
std::vector<double> DynamicNtkFrequencies(double theta, int rotary_dim,
                                          const DynamicNtkConfig& dynamic,
                                          int64_t length);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_NTK_H_
