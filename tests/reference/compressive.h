// tests/reference/compressive.h: Infini-attention's memory, slowly, in double.

#ifndef MNEME_TESTS_REFERENCE_COMPRESSIVE_H_
#define MNEME_TESTS_REFERENCE_COMPRESSIVE_H_

#include <cstddef>
#include <vector>

namespace mneme::reference {

struct Memory {
  Memory(size_t key_dim, size_t value_dim);

  size_t key_dim;
  size_t value_dim;
  bool empty = true;
  std::vector<double> matrix;      // [key_dim, value_dim]
  std::vector<double> normalizer;  // [key_dim]
};

double Phi(double x);

// One segment by the linear or the delta rule.
void Update(const float* keys, const float* values, size_t count, bool delta,
            Memory& memory);

// phi(q) matrix / (phi(q) . normalizer + added).
std::vector<double> Recall(const Memory& memory, const float* query,
                           double added = 0);

}  // namespace mneme::reference

#endif  // MNEME_TESTS_REFERENCE_COMPRESSIVE_H_
