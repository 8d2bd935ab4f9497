// attention/projection.h: the random directions of Performer's features.

#ifndef MNEME_ATTENTION_PROJECTION_H_
#define MNEME_ATTENTION_PROJECTION_H_

#include <cstdint>
#include <vector>

namespace mneme::attention {

enum class RowNorms {
  kGaussian,    // Of independent Gaussian rows: features are unbiased.
  kSqrtKeyDim,  // All sqrt(key_dim): "regularised" features.
};

// Rows that are orthogonal within each run of key_dim of them (Choromanski et
// al., arXiv 2009.14794, section 2.4). The same seed gives the same bits on
// every machine, so a state can be read where it was not written.
// Shapes:   [feature_count, key_dim].
// Threads:  a pure function.
// REQUIRES: feature_count >= 0; key_dim > 0.
std::vector<float> OrthogonalProjection(int feature_count, int key_dim,
                                        uint64_t seed, RowNorms norms);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_PROJECTION_H_
