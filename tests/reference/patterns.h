// tests/reference/patterns.h: attention by an explicit matrix of logits,
// slowly, in double.

#ifndef MNEME_TESTS_REFERENCE_PATTERNS_H_
#define MNEME_TESTS_REFERENCE_PATTERNS_H_

#include <cstddef>
#include <functional>
#include <vector>

#include "tests/reference/attention.h"

namespace mneme::reference {

// Of query i and key j.
using Matrix = std::function<double(size_t i, size_t j)>;

// Row i: weights times(i, j) * exp(logit(i, j)) over every key j.
// Shapes:  values [tokens, value_dim].
std::vector<Attended> AttendWhere(const std::vector<float>& values,
                                  size_t tokens, size_t value_dim,
                                  const Matrix& logit, const Matrix& times);

// Landmark attention's two softmaxes, by their definition.
std::vector<Attended> AttendLandmarks(const std::vector<float>& values,
                                      size_t tokens, size_t value_dim,
                                      size_t block, const Matrix& logit);

}  // namespace mneme::reference

#endif  // MNEME_TESTS_REFERENCE_PATTERNS_H_
