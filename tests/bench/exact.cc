#include "tests/bench/exact.h"

#include <cblas.h>

#include <algorithm>
#include <cmath>

namespace mneme::bench {

void UseOneBlasThread() { openblas_set_num_threads(1); }

void BlasDotRows(const float* queries, size_t query_count, const float* keys,
                 size_t key_count, size_t dim, float* logits) {
  const int width = static_cast<int>(dim);
  const int rows = static_cast<int>(query_count);
  const int columns = static_cast<int>(key_count);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, columns, width, 1,
              queries, width, keys, width, 0, logits, columns);
}

void BlasAttend(const float* queries, size_t rows, const float* keys,
                const float* values, size_t count, size_t dim, float scale,
                std::vector<float>& logits, float* out) {
  logits.resize(rows * count);
  BlasDotRows(queries, rows, keys, count, dim, logits.data());
  std::vector<float> totals(rows);
  for (size_t row = 0; row < rows; ++row) {
    float* line = logits.data() + row * count;
    const float largest = *std::max_element(line, line + count);
    double total = 0;
    for (size_t i = 0; i < count; ++i) {
      line[i] = std::exp(scale * (line[i] - largest));
      total += line[i];
    }
    totals[row] = static_cast<float>(total);
  }
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(rows),
              static_cast<int>(dim), static_cast<int>(count), 1, logits.data(),
              static_cast<int>(count), values, static_cast<int>(dim), 0, out,
              static_cast<int>(dim));
  for (size_t i = 0; i < rows * dim; ++i) out[i] /= totals[i / dim];
}

}  // namespace mneme::bench
