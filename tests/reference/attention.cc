#include "tests/reference/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mneme::reference {

double Dot(const float* a, const float* b, size_t dim) {
  double sum = 0;
  for (size_t i = 0; i < dim; ++i) sum += double{a[i]} * b[i];
  return sum;
}

double DotOfMagnitudes(const float* a, const float* b, size_t dim) {
  double sum = 0;
  for (size_t i = 0; i < dim; ++i) sum += std::abs(double{a[i]} * b[i]);
  return sum;
}

Attended Attend(const float* logits, const float* values, size_t count,
                size_t value_dim) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Attended result{std::vector<double>(value_dim),
                  std::vector<double>(value_dim), -kInfinity};
  double largest = -kInfinity;
  for (size_t k = 0; k < count; ++k) {
    largest = std::max(largest, double{logits[k]});
  }
  if (largest == -kInfinity) return result;
  double total = 0;
  for (size_t k = 0; k < count; ++k) total += std::exp(logits[k] - largest);
  for (size_t k = 0; k < count; ++k) {
    const double weight = std::exp(logits[k] - largest) / total;
    for (size_t i = 0; i < value_dim; ++i) {
      const double value = values[k * value_dim + i];
      result.out[i] += weight * value;
      result.magnitude[i] += weight * std::abs(value);
    }
  }
  result.lse = largest + std::log(total);
  return result;
}

}  // namespace mneme::reference
