// attention/softcap.h: logits that cannot exceed a cap.

#ifndef MNEME_ATTENTION_SOFTCAP_H_
#define MNEME_ATTENTION_SOFTCAP_H_

#include <cstddef>

namespace mneme::attention {

// logits = cap * tanh(logits / cap) (Gemma 2, arXiv 2408.00118, section 2).
// Monotone, so a ranking of keys stays what it was; a masked logit, -infinity,
// stays masked. A logit's result does not depend on its neighbours.
// Shapes:   logits [count].
// Threads:  a pure function.
// REQUIRES: cap is positive and finite.
void SoftCap(float cap, float* logits, size_t count);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_SOFTCAP_H_
