// attention/rope.h: the frequencies of each family of rotary positions.
// A new family is one function here, one value of PositionFamily, one test.

#ifndef MNEME_ATTENTION_ROPE_H_
#define MNEME_ATTENTION_ROPE_H_

#include <cstdint>
#include <optional>
#include <vector>

namespace mneme::attention {

// Every table is [rotary_dim / 2], radians a position for each pair.
// REQUIRES, of each: what Validate(PositionConfig) accepts.

// RoPE: pair j of a rotary width n turns by b_j = theta^(-2j/n) a position
// (Su et al., arXiv 2104.09864, eq. 15).
// REQUIRES: rotary_dim is even; theta > 0.
std::vector<double> RopeFrequencies(double theta, int rotary_dim);

// Position Interpolation (Chen et al., arXiv 2306.15595, eq. 4): b_j / factor.
struct LinearConfig {
  double factor = 1;  // Extended length over original length.

  friend bool operator==(const LinearConfig&, const LinearConfig&) = default;
};
std::vector<double> LinearFrequencies(double theta, int rotary_dim,
                                      const LinearConfig& linear);

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

// LongRoPE (Ding et al., arXiv 2402.13753, in the form of Phi-3's code): b_j
// over a searched factor for each pair, from the long list for every token of a
// sequence longer than the original.
struct LongRopeConfig {
  std::vector<double> short_factors = {};  // [rotary_dim / 2]
  std::vector<double> long_factors = {};   // [rotary_dim / 2]
  int64_t original_length = 0;  // Positions the model was trained on.
  int64_t max_position = 0;     // Positions it was extended to.
  // Replaces sqrt(1 + ln(max_position / original) / ln(original)).
  std::optional<double> attention_factor = std::nullopt;

  friend bool operator==(const LongRopeConfig&,
                         const LongRopeConfig&) = default;
};
std::vector<double> LongRopeFrequencies(double theta, int rotary_dim,
                                        const LongRopeConfig& long_rope,
                                        int64_t length);

// Of queries and keys alike, and of both lists.
double LongRopeAttentionFactor(const LongRopeConfig& long_rope);

// Llama 3.1's bands, linear in the turns within the original length: above
// high_freq_factor turns b_j, below low_freq_factor b_j / factor.
struct Llama3Config {
  double factor = 1;            // Extended length over original length.
  int64_t original_length = 0;  // Positions the model was trained on.
  double low_freq_factor = 1;
  double high_freq_factor = 4;

  friend bool operator==(const Llama3Config&, const Llama3Config&) = default;
};
std::vector<double> Llama3Frequencies(double theta, int rotary_dim,
                                      const Llama3Config& llama3);

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

#endif  // MNEME_ATTENTION_ROPE_H_
