// attention/relative_bias.h: positions as a learned bias by distance, one
// number per head and distance (as T5's, arXiv 1910.10683, section 2.1, with
// its buckets written out).

#ifndef MNEME_ATTENTION_RELATIVE_BIAS_H_
#define MNEME_ATTENTION_RELATIVE_BIAS_H_

#include <cstdint>
#include <span>
#include <vector>

namespace mneme::attention {

struct RelativeBiasConfig {
  std::vector<float> biases = {};  // [query_heads, distances]

  friend bool operator==(const RelativeBiasConfig&,
                         const RelativeBiasConfig&) = default;
};

// Threads:  immutable; any thread may call anything.
class RelativeBias {
 public:
  // REQUIRES: biases.size() is a positive multiple of query_heads.
  RelativeBias(const RelativeBiasConfig& config, int query_heads);

  // Of a key `distance` positions back; those at and beyond the last one given
  // count as it, negative ones as 0.
  float Bias(int query_head, int64_t distance) const;

  // Adds the bias of each key to its logit.
  // Shapes:  logits [key_positions].
  void AddTo(int query_head, int64_t query_position,
             std::span<const int64_t> key_positions, float* logits) const;

 private:
  std::vector<float> biases_;
  int64_t distances_;
};

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_RELATIVE_BIAS_H_
