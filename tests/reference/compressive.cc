#include "tests/reference/compressive.h"

#include <cmath>

namespace mneme::reference {

Memory::Memory(size_t key_dim, size_t value_dim)
    : key_dim(key_dim),
      value_dim(value_dim),
      matrix(key_dim * value_dim),
      normalizer(key_dim) {}

double Phi(double x) { return x > 0 ? x + 1 : std::exp(x); }

std::vector<double> Recall(const Memory& memory, const float* query,
                           double added) {
  std::vector<double> out(memory.value_dim);
  double denominator = added;
  for (size_t i = 0; i < memory.key_dim; ++i) {
    denominator += Phi(query[i]) * memory.normalizer[i];
    for (size_t j = 0; j < memory.value_dim; ++j) {
      out[j] += Phi(query[i]) * memory.matrix[i * memory.value_dim + j];
    }
  }
  for (double& x : out) x /= denominator;
  return out;
}

void Update(const float* keys, const float* values, size_t count, bool delta,
            Memory& memory) {
  const Memory before = memory;
  for (size_t r = 0; r < count; ++r) {
    const float* key = keys + r * memory.key_dim;
    std::vector<double> value(values + r * memory.value_dim,
                              values + (r + 1) * memory.value_dim);
    if (delta && !before.empty) {
      const std::vector<double> known = Recall(before, key);
      for (size_t j = 0; j < value.size(); ++j) value[j] -= known[j];
    }
    for (size_t i = 0; i < memory.key_dim; ++i) {
      memory.normalizer[i] += Phi(key[i]);
      for (size_t j = 0; j < memory.value_dim; ++j) {
        memory.matrix[i * memory.value_dim + j] += Phi(key[i]) * value[j];
      }
    }
  }
  if (count > 0) memory.empty = false;
}

}  // namespace mneme::reference
