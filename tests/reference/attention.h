// tests/reference/attention.h: softmax attention, slowly, in double.

#ifndef MNEME_TESTS_REFERENCE_ATTENTION_H_
#define MNEME_TESTS_REFERENCE_ATTENTION_H_

#include <cstddef>
#include <vector>

namespace mneme::reference {

double Dot(const float* a, const float* b, size_t dim);

// sum |a_i b_i|: what a float sum's rounding error is measured against.
double DotOfMagnitudes(const float* a, const float* b, size_t dim);

struct Attended {
  std::vector<double> out;        // [value_dim]
  std::vector<double> magnitude;  // [value_dim], weighted means of |value|.
  double lse;
};

// One row. Zeros and -infinity when every logit is -infinity.
// Shapes:  logits [count]; values [count, value_dim].
Attended Attend(const float* logits, const float* values, size_t count,
                size_t value_dim);

}  // namespace mneme::reference

#endif  // MNEME_TESTS_REFERENCE_ATTENTION_H_
