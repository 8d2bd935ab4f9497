// tests/reference/performer.h: FAVOR+ by its formulas, slowly, in double.

#ifndef MNEME_TESTS_REFERENCE_PERFORMER_H_
#define MNEME_TESTS_REFERENCE_PERFORMER_H_

#include <cstddef>
#include <vector>

namespace mneme::reference {

struct Favor {
  bool relu;
  size_t feature_count;
  size_t key_dim;
  std::vector<float> projection;  // [feature_count, key_dim]
  double epsilon;
};

// y = projection x / key_dim^(1/4).
std::vector<double> FavorProjection(const Favor& favor, const float* row);

// The features of a row with projection y, for a given stabiliser.
std::vector<double> FavorFeatures(const Favor& favor, const float* row,
                                  double stabilizer);

// The largest y of `count` keys.
double FavorStabilizer(const Favor& favor, const float* keys, size_t count);

// One row, over `count` keys.
std::vector<double> FavorRead(const Favor& favor, const float* query,
                              const float* keys, const float* values,
                              size_t count, size_t value_dim,
                              double key_stabilizer,
                              double denominator_epsilon);

}  // namespace mneme::reference

#endif  // MNEME_TESTS_REFERENCE_PERFORMER_H_
