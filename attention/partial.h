// attention/partial.h: attention computed in parts becomes the whole.
// A softmax over disjoint groups of keys equals the groups' outputs weighted
// by exp(lse), so window and retrieved keys are attended to apart, then merged.

#ifndef MNEME_ATTENTION_PARTIAL_H_
#define MNEME_ATTENTION_PARTIAL_H_

#include <limits>
#include <span>

namespace mneme::attention {

// What one query row of one head saw in one group of keys.
struct Partial {
  std::span<const float> out;  // [value_dim], softmax-weighted mean of values.
  // Natural log of sum(exp(logit)); -infinity without keys. In double: weights
  // are exponentials of differences, which large floats round away.
  double lse = -std::numeric_limits<double>::infinity();
};

// Merges `parts` into `out`; returns the log-sum-exp of the whole.
// Shapes:   every part's out, and `out`, are [value_dim].
// Errors:   none; with no keys in any part, zeros and -infinity.
// Threads:  a pure function; allocates nothing.
// REQUIRES: equal sizes (a part without keys may have none); `out` overlaps no
//           part; no lse is NaN or +infinity.
double Merge(std::span<const Partial> parts, std::span<float> out);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_PARTIAL_H_
