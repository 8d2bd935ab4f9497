// attention/yarn.h: rotary positions that interpolate slow pairs only.

#ifndef MNEME_ATTENTION_YARN_H_
#define MNEME_ATTENTION_YARN_H_

#include <cstdint>
#include <optional>
#include <vector>

namespace mneme::attention {

// YaRN: a blend of RoPE and RoPE / factor for each pair (Peng et al., arXiv
// 2309.00071, section 3.2). The ramp is linear in the pair's index, as in every
// public checkpoint, where the paper has it linear in the number of turns.
struct YarnConfig {
  double factor = 1;            // Extended length over original length.
  int64_t original_length = 0;  // Positions the model was trained on.
  double beta_fast = 32;        // Pairs turning more often than this are kept,
  double beta_slow = 1;         // less often than this are interpolated.
  // Replaces everything that YarnAttentionFactor computes.
  std::optional<double> attention_factor = std::nullopt;
  double attn_factor = 1;           // Multiplies the attention factor.
  double extrapolation_factor = 1;  // 0: interpolate every pair.
  bool truncate = true;  // Whole pairs end the ramp; not so in gpt-oss.
  // Weights of ln(factor) in the attention factor and in what it is divided by.
  // DeepSeek's checkpoints, which set the second, multiply their softmax scale
  // by (0.1 mscale_all_dim ln(factor) + 1)^2: the caller's logit scale.
  double mscale = 1;
  double mscale_all_dim = 0;

  friend bool operator==(const YarnConfig&, const YarnConfig&) = default;
};
std::vector<double> YarnFrequencies(double theta, int rotary_dim,
                                    const YarnConfig& yarn);

// YaRN's m, for queries and keys alike: logits grow by m^2 (eq. 22; m^2 is the
// paper's 1/t). With g(w) = 0.1 w ln(factor) + 1 it is
// attn_factor * g(mscale) / g(mscale_all_dim).
double YarnAttentionFactor(const YarnConfig& yarn);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_YARN_H_
