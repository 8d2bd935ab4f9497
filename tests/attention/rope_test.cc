#include "attention/rope.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace mneme::attention {
namespace {

TEST(RopeFrequencies, FallFromOneByAConstantRatio) {
  const std::vector<double> f = RopeFrequencies(10000, 8);
  ASSERT_EQ(f.size(), 4);
  EXPECT_DOUBLE_EQ(f[0], 1);
  EXPECT_DOUBLE_EQ(f[1], 0.1);
  EXPECT_DOUBLE_EQ(f[2], 0.01);
  EXPECT_DOUBLE_EQ(f[3], 0.001);
}

}  // namespace
}  // namespace mneme::attention
