// attention/kernels.h: the inner loops of attention, in the instructions the
// processor has.
// A result never depends on what was computed in the same call: a row alone and
// a row in a block have the same bits.

#ifndef MNEME_ATTENTION_KERNELS_H_
#define MNEME_ATTENTION_KERNELS_H_

#include <cstddef>
#include <string_view>

namespace mneme::attention {

// The instruction set that the kernels use on this processor, e.g. "AVX2".
std::string_view KernelTarget();

// Every query by every key.
// Shapes:   queries [query_count, dim]; keys [key_count, dim];
//           logits [query_count, key_count].
void DotRows(const float* queries, size_t query_count, const float* keys,
             size_t key_count, size_t dim, float* logits);

// The largest of `count` numbers; -infinity when there are none.
float Maximum(const float* in, size_t count);

// weights = exp(logits - shift); returns their sum. -infinity gives 0.
// Shapes:   logits, weights [count]; they may be the same.
// REQUIRES: shift is finite; no logit exceeds it by more than 80.
float Exponentials(const float* logits, size_t count, float shift,
                   float* weights);

// phi(x) = elu(x) + 1, formed as x + 1 or exp(x), which stays exact where
// expm1(x) + 1 cancels.
// Shapes:   in, out [count]; they may be the same.
void EluPlusOne(const float* in, size_t count, float* out);

// out += sum over r of weights[r] * rows[r], the sum formed first; rows of
// weight 0 are not read.
// Shapes:   weights [row_count]; rows [row_count, dim]; out [dim].
void AddWeightedRows(const float* weights, const float* rows, size_t row_count,
                     size_t dim, float* out);

// The same for several outputs at once, which read each row once:
// out[i] += sum over r of weights[i * output_step + r * row_step] * rows[r].
// Shapes:   rows [row_count, dim]; out [output_count, dim].
void AddWeightedRowsEach(const float* weights, size_t output_step,
                         size_t row_step, const float* rows, size_t row_count,
                         size_t dim, float* out, size_t output_count);

// out += in, in double.
// Shapes:   in, out [count].
void AddToDouble(const float* in, size_t count, double* out);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_KERNELS_H_
