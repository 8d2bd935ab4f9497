#include "attention/interpolation.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "tests/attention/frequencies_near.h"

namespace mneme::attention {
namespace {

// The relative differences of pow and a handful of products.
void ExpectNear(const std::vector<double>& got,
                const std::vector<double>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t j = 0; j < got.size(); ++j) {
    ASSERT_NEAR(got[j], expected[j], 1e-12 * expected[j]) << j;
  }
}

TEST(LinearFrequencies, AreThoseOfRopeOverTheFactor) {
  const std::vector<double> linear = LinearFrequencies(10000, 8, {.factor = 4});
  ExpectNear(linear, {0.25, 0.025, 0.0025, 0.00025});
}

}  // namespace
}  // namespace mneme::attention
