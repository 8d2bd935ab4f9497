// attention/compressive.h: a memory of fixed size for any number of tokens
// (Infini-attention, arXiv 2404.07143, section 2.1.2).
// Queries and keys enter through phi(x) = elu(x) + 1, unrotated and unscaled.

#ifndef MNEME_ATTENTION_COMPRESSIVE_H_
#define MNEME_ATTENTION_COMPRESSIVE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mneme::attention {

// What one bank's tokens were folded into. Empty means token_count == 0, never
// a small denominator.
struct CompressiveState {
  CompressiveState(int key_dim, int value_dim);

  int key_dim;
  int value_dim;
  std::vector<float> matrix;      // [key_dim, value_dim], sum phi(k)^T v.
  std::vector<float> normalizer;  // [key_dim], sum phi(k).
  uint64_t token_count = 0;
};

// Linear rule (eq. 4): matrix += phi(K)^T V, normalizer += sum phi(K). A call's
// tokens are summed before the state is touched. States of disjoint tokens add,
// so the cut into calls changes nothing but rounding.
// Shapes:   keys [count, key_dim]; values [count, value_dim].
void Absorb(const float* keys, const float* values, size_t count,
            CompressiveState& state);

// Delta rule (eq. 5): as Absorb, of what the state before this call does not
// yet return for each key. The cut into calls matters: one call is a segment.
// An empty state returns nothing, so its first segment is absorbed whole.
// Shapes:   as Absorb.
void AbsorbDelta(const float* keys, const float* values, size_t count,
                 CompressiveState& state);

// A piece of a segment, with the state `before` the segment: segments need not
// be at hand whole. Shapes: as Absorb.
void AbsorbDelta(const float* keys, const float* values, size_t count,
                 const CompressiveState& before, CompressiveState& state);

// out = phi(q) matrix / max(phi(q) . normalizer, denominator_floor) (eq. 3).
// Returns false, and zeros, when the state is empty.
// Shapes:   query [key_dim]; out [value_dim].
// REQUIRES: denominator_floor >= 0; at 0, an all but impossible denominator of
// 0
//           (every phi underflowed) gives zeros.
bool Read(const CompressiveState& state, const float* query,
          float denominator_floor, float* out);

enum class LinearMask { kNone, kCausal };

// Linear attention (Katharopoulos et al., arXiv 2006.16236, eq. 5 and 9-12):
// out_i = phi(q_i) S / (phi(q_i) . Z + eps). Every query sees every key, or,
// with kCausal, query i those up to and including key i. The keys are absorbed
// into `state`, which may hold earlier ones that all queries see. Shapes:
// queries [query_count, key_dim]; keys [key_count, key_dim];
//           values [key_count, value_dim]; out [query_count, value_dim].
// REQUIRES: with kCausal, query_count == key_count.
void LinearAttention(const float* queries, size_t query_count,
                     const float* keys, const float* values, size_t key_count,
                     LinearMask mask, float eps, CompressiveState& state,
                     float* out);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_COMPRESSIVE_H_
