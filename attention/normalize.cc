#include "attention/normalize.h"

#include <algorithm>
#include <cmath>

namespace mneme::attention {

void NormalizeRows(float* rows, size_t row_count, size_t dim, NormGuard guard) {
  for (size_t r = 0; r < row_count; ++r) {
    float* const row = rows + r * dim;
    double squares = 0;
    for (size_t i = 0; i < dim; ++i) squares += double{row[i]} * row[i];
    const double norm = guard == NormGuard::kClampedNorm
                            ? std::max(std::sqrt(squares), 1e-12)
                            : std::sqrt(squares + 1e-6);
    for (size_t i = 0; i < dim; ++i) row[i] = static_cast<float>(row[i] / norm);
  }
}

}  // namespace mneme::attention
