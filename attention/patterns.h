// attention/patterns.h: which keys a query of a whole sequence sees, where that
// is less than every earlier one.
// Each works on one head of one sequence and is causal: no query sees a key
// that comes after it.

#ifndef MNEME_ATTENTION_PATTERNS_H_
#define MNEME_ATTENTION_PATTERNS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "attention/position.h"

namespace mneme::attention {

// One head's rows, rotated or not as the pattern says; logits are
// scale * q . k.
struct HeadRows {
  const float* queries;  // [tokens, key_dim]
  const float* keys;     // [tokens, key_dim]
  const float* values;   // [tokens, value_dim]
  size_t tokens;
  size_t key_dim;
  size_t value_dim;
  float scale;
};

// Of every pattern:
// Shapes:   out [tokens, value_dim]; lse [tokens], the natural log of the
//           weights' sum; zeros and -infinity for a query that sees nothing.
// Threads:  pure functions.

// Query i sees keys (i - window, i].
// REQUIRES: window > 0.
void SlidingWindow(const HeadRows& head, size_t window, float* out, float* lse);

// LM-Infinite's Lambda (Han et al., arXiv 2308.16137, section 4): query i sees
// the last `window` keys at their distances, and of the others the first
// `global`, as if at `distance`. A global key within the window counts once, at
// its own distance. With global = tokens nothing is hidden and only distances
// have a ceiling.
struct Lambda {
  size_t global;
  size_t window;
  int64_t distance;
};

// Row i of head stands at position i; queries and keys come unrotated and
// `positions` turns them; attention_factor is not applied.
// REQUIRES: window > 0; `positions` was created for key_dim.
void LambdaAttention(const HeadRows& head, const Lambda& lambda,
                     const PositionEncoder& positions, float* out, float* lse);

// One branch of LongNet's dilated attention (Ding et al., arXiv 2307.02486,
// section 2.2).
struct Dilation {
  size_t segment;  // Tokens of a segment.
  size_t ratio;    // Every ratio-th of them takes part.
};

// LongNet: in each branch, the tokens of a segment whose offset in it is
// o modulo ratio attend to each other, o = head_index / ceil(heads / ratio)
// modulo ratio. Branches are merged by exp(lse), so a key that two branches
// show to a query counts twice.
// REQUIRES: segments and ratios are positive; head_index < heads.
void DilatedAttention(const HeadRows& head, size_t head_index, size_t heads,
                      std::span<const Dilation> branches, float* out,
                      float* lse);

// Groups of `group` tokens attend among themselves, after a first one of
// `shift` tokens. LongLoRA's S2-Attn (Chen et al., arXiv 2309.12307, section
// 3.2) shifts the second half of the heads by group / 2, here as its
// flash-attention form does: cut at both ends, where the form that rolls the
// sequence shows its end to its start.
// REQUIRES: group > 0; shift < group.
void ShiftedGroups(const HeadRows& head, size_t group, size_t shift, float* out,
                   float* lse);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_PATTERNS_H_
