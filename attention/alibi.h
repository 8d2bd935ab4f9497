// attention/alibi.h: positions as a bias on logits that grows with distance
// (Press et al., arXiv 2108.12409, section 3).

#ifndef MNEME_ATTENTION_ALIBI_H_
#define MNEME_ATTENTION_ALIBI_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace mneme::attention {

struct AlibiConfig {
  double bias_max = 8;  // 2^-bias_max is the least slope of 2^n heads.
  // Distances beyond count as this one, so that far memory stays visible.
  std::optional<int64_t> clip_distance = std::nullopt;

  friend bool operator==(const AlibiConfig&, const AlibiConfig&) = default;
};

// With s_c(i) = 2^(-bias_max i / c), i = 1..c, and c the power of two up to
// `heads`: all of s_c, then s_2c(1), s_2c(3), ... until every head has one. The
// authors' (and Bloom's) code and MPT's, which takes s_2c(2), s_2c(4), ...,
// s_2c(1), s_2c(3), ..., give the same numbers; only MPT's has a bias_max.
// Shapes:   [heads].
// REQUIRES: heads > 0.
std::vector<double> AlibiSlopes(const AlibiConfig& alibi, int heads);

// The bias of every head: -slope * (t - p) for a query at t and a key at p.
// Only this relative form can be merged across parts: the form slope * p shifts
// each row's log-sum-exp.
// Threads:  immutable; any thread may call anything.
class AlibiBias {
 public:
  // REQUIRES: `alibi` passed Validate(PositionConfig); query_heads > 0.
  AlibiBias(const AlibiConfig& alibi, int query_heads);

  // REQUIRES: 0 <= query_head < query_heads.
  double Slope(int query_head) const { return slopes_[query_head]; }

  double Bias(int query_head, int64_t query_position,
              int64_t key_position) const;

  // Adds the bias of each key to its logit; the sum is rounded once.
  // Shapes:  logits [key_positions].
  void AddTo(int query_head, int64_t query_position,
             std::span<const int64_t> key_positions, float* logits) const;

 private:
  std::vector<double> slopes_;
  int64_t clip_distance_;
};

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_ALIBI_H_
