// attention/performer.h: softmax attention by random features, in a state of
// fixed size (FAVOR+, Choromanski et al., arXiv 2009.14794).
// Only for models trained with it: with a pretrained softmax model's keys the
// estimate is off by more than the values themselves.

#ifndef MNEME_ATTENTION_PERFORMER_H_
#define MNEME_ATTENTION_PERFORMER_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "attention/compressive.h"

namespace mneme::attention {

// With y = projection * x / key_dim^(1/4), features of queries and keys are
enum class PerformerKernel {
  // (exp(y - |x|^2 / (2 sqrt(key_dim)) - s) + epsilon) / sqrt(feature_count),
  // positive features of the softmax kernel (lemma 1). The stabiliser s is the
  // largest component of a query's own y, and of y of every key of a state.
  kSoftmax,
  kRelu,  // max(y, 0) + epsilon: generalized attention (section 2.2).
};

struct PerformerFeatures {
  PerformerKernel kernel = PerformerKernel::kSoftmax;
  int feature_count = 0;
  int key_dim = 0;
  std::vector<float> projection = {};  // [feature_count, key_dim]
  float epsilon = 1e-4f;               // Public code: 1e-4, for kRelu 1e-3.
};

// What keys were folded into. Epsilon is added after the stabiliser is
// subtracted, so it does not cancel: its share is kept apart, and what the keys
// left can be moved to a larger stabiliser. Thus the state does not depend on
// how its keys were cut into calls, but for rounding.
struct PerformerState {
  PerformerState(int feature_count, int value_dim);

  int value_dim;
  // Of kSoftmax. A caller who knows the largest y of keys to come may raise it
  // while the state is empty, and it stays; causal rows are then those of the
  // public code, which looks ahead.
  float stabilizer = -std::numeric_limits<float>::infinity();
  std::vector<float> matrix;  // [feature_count, value_dim], without epsilon.
  std::vector<float> normalizer;  // [feature_count], without epsilon.
  std::vector<float> value_sum;   // [value_dim]
  uint64_t token_count = 0;
};

// Adds keys to the state.
// Shapes:   keys [count, key_dim]; values [count, value_dim].
// REQUIRES: `state` was made for, and always used with, these features.
void AbsorbFeatures(const PerformerFeatures& features, const float* keys,
                    const float* values, size_t count, PerformerState& state);

// out = phi(q) S / (phi(q) . (Z + denominator_epsilon)). Returns false, and
// zeros, when the state is empty.
// Shapes:   query [key_dim]; out [value_dim].
bool ReadFeatures(const PerformerFeatures& features,
                  const PerformerState& state, const float* query,
                  float denominator_epsilon, float* out);

// Every query reads every key, or, with kCausal, query i those up to and
// including key i: by the stabiliser of the keys so far, so that no row depends
// on what comes later. The keys are absorbed into `state`, which may hold
// earlier ones that all queries see.
// Shapes:   queries [query_count, key_dim]; keys [key_count, key_dim];
//           values [key_count, value_dim]; out [query_count, value_dim].
// REQUIRES: with kCausal, query_count == key_count.
void PerformerAttention(const PerformerFeatures& features, const float* queries,
                        size_t query_count, const float* keys,
                        const float* values, size_t key_count, LinearMask mask,
                        float denominator_epsilon, PerformerState& state,
                        float* out);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_PERFORMER_H_
