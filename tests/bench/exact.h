// tests/bench/exact.h: exact fp32 attention as one writes it with a BLAS.

#ifndef MNEME_TESTS_BENCH_EXACT_H_
#define MNEME_TESTS_BENCH_EXACT_H_

#include <cstddef>
#include <vector>

namespace mneme::bench {

// OpenBLAS works on the calling thread only.
void UseOneBlasThread();

// logits = queries keys^T. Shapes: as attention::DotRows.
void BlasDotRows(const float* queries, size_t query_count, const float* keys,
                 size_t key_count, size_t dim, float* logits);

// softmax(scale * queries keys^T) values, in three passes.
// Shapes: queries [rows, dim]; keys, values [count, dim]; out [rows, dim];
//         logits is working room for [rows, count].
void BlasAttend(const float* queries, size_t rows, const float* keys,
                const float* values, size_t count, size_t dim, float scale,
                std::vector<float>& logits, float* out);

}  // namespace mneme::bench

#endif  // MNEME_TESTS_BENCH_EXACT_H_
