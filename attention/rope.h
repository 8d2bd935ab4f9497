// attention/rope.h: the frequencies of each family of rotary positions.
// A new family is one function here, one value of PositionFamily, one test.

#ifndef MNEME_ATTENTION_ROPE_H_
#define MNEME_ATTENTION_ROPE_H_

#include <cstdint>
#include <optional>
#include <vector>

namespace mneme::attention {

// YaRN's parameters, named and with the defaults of the public checkpoints.
struct YarnConfig {
  double factor = 1;            // Extended length over original length.
  int64_t original_length = 0;  // Positions the model was trained on.
  double beta_fast = 32;        // Pairs turning more often than this are kept,
  double beta_slow = 1;         // less often than this are interpolated.
  // Replaces (0.1 ln(factor) + 1) * attn_factor.
  std::optional<double> attention_factor = std::nullopt;
  double attn_factor = 1;           // Multiplies 0.1 ln(factor) + 1.
  double extrapolation_factor = 1;  // 0: interpolate every pair.

  friend bool operator==(const YarnConfig&, const YarnConfig&) = default;
};

// RoPE: pair j of a rotary width n turns by theta^(-2j/n) a position
// (Su et al., arXiv 2104.09864, eq. 15).
// Shapes:   [rotary_dim / 2].
// REQUIRES: rotary_dim is even; theta > 0.
std::vector<double> RopeFrequencies(double theta, int rotary_dim);

// YaRN: a blend of RoPE and RoPE / factor for each pair (Peng et al., arXiv
// 2309.00071, section 3.2). The ramp is linear in the pair's index, as in every
// public checkpoint, where the paper has it linear in the number of turns.
// Shapes:   [rotary_dim / 2].
// REQUIRES: what Validate(PositionConfig) accepts.
std::vector<double> YarnFrequencies(double theta, int rotary_dim,
                                    const YarnConfig& yarn);

// YaRN's m, for queries and keys alike: logits grow by m^2 (eq. 22; m^2 is the
// paper's 1/t).
double YarnAttentionFactor(const YarnConfig& yarn);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_ROPE_H_
