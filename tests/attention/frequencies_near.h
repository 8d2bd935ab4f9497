// tests/attention/frequencies_near.h: two tables of frequencies, compared.

#ifndef MNEME_TESTS_ATTENTION_FREQUENCIES_NEAR_H_
#define MNEME_TESTS_ATTENTION_FREQUENCIES_NEAR_H_

#include <vector>

#include "gtest/gtest.h"

namespace mneme::attention {

// The relative differences of pow and a handful of products.
inline void ExpectNear(const std::vector<double>& got,
                       const std::vector<double>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t j = 0; j < got.size(); ++j) {
    ASSERT_NEAR(got[j], expected[j], 1e-12 * expected[j]) << j;
  }
}

}  // namespace mneme::attention

#endif  // MNEME_TESTS_ATTENTION_FREQUENCIES_NEAR_H_
