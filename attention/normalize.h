// attention/normalize.h: rows of length one, where logits are cosines.

#ifndef MNEME_ATTENTION_NORMALIZE_H_
#define MNEME_ATTENTION_NORMALIZE_H_

#include <cstddef>

namespace mneme::attention {

// What keeps a row of zeros from a division by zero, in the two published
// forms.
enum class NormGuard {
  kClampedNorm,   // x / max(|x|, 1e-12): exact for all but the tiniest rows.
  kAddedSquares,  // x / sqrt(sum x^2 + 1e-6): the Memorizing Transformer's.
};

// Divides each row by its L2 norm, in place; zeros stay zeros. Squares are
// summed in double, so no row of finite numbers overflows.
// Shapes:   rows [row_count, dim].
// Threads:  a pure function; a row's result depends on nothing else.
void NormalizeRows(float* rows, size_t row_count, size_t dim, NormGuard guard);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_NORMALIZE_H_
