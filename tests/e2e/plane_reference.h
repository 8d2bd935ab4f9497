// tests/e2e/plane_reference.h: what the plane model's queries see, slowly, in
// double.

#ifndef MNEME_TESTS_E2E_PLANE_REFERENCE_H_
#define MNEME_TESTS_E2E_PLANE_REFERENCE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/e2e/plane_model.h"

namespace mneme::e2e {

// One row of one head.
struct Seen {
  std::vector<double> out;  // [kDim]
  double lse = 0;
};

// What every query head sees that stands at `position`, of the tokens
// [first, last).
// Shapes:   queries [kQueryHeads, kDim], before rotation.
// REQUIRES: at least one of the tokens is at or before `position`.
std::vector<Seen> Reference(const PlaneModel& model, size_t layer,
                            const std::vector<float>& queries, int64_t position,
                            size_t first, size_t last);

// Joins what was seen of two disjoint groups of keys: means weighted by
// exp(lse).
Seen Merge(const Seen& a, const Seen& b);

}  // namespace mneme::e2e

#endif  // MNEME_TESTS_E2E_PLANE_REFERENCE_H_
