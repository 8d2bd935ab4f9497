// attention/long_rope.h: rotary positions with a searched factor for each pair.

#ifndef MNEME_ATTENTION_LONG_ROPE_H_
#define MNEME_ATTENTION_LONG_ROPE_H_

#include <cstdint>
#include <optional>
#include <vector>

namespace mneme::attention {

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

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_LONG_ROPE_H_
