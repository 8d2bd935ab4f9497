// attention/landmark.h: blocks that are weighed by a landmark of their own
// (Mohtashami and Jaggi, arXiv 2305.16300, section 3.1).

#ifndef MNEME_ATTENTION_LANDMARK_H_
#define MNEME_ATTENTION_LANDMARK_H_

#include <cstddef>

#include "attention/patterns.h"

namespace mneme::attention {

// The grouped softmax over a whole sequence, in which the last token of every
// `block` is its landmark. One softmax covers the earlier tokens of the query's
// own block, itself included, and the landmarks of the earlier blocks; each
// block's weight is spread over its other tokens by a softmax of their own. So
// an earlier block is a Partial whose lse is replaced by its landmark's logit.
// Landmarks lend no value, and a block's own landmark counts for nobody.
// Shapes:   out [tokens, value_dim]; lse [tokens], of the first softmax.
// Threads:  a pure function.
// REQUIRES: block > 1.
void LandmarkAttention(const HeadRows& head, size_t block, float* out,
                       float* lse);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_LANDMARK_H_
