#include "attention/landmark.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "tests/attention/patterns_fixture.h"
#include "tests/reference/patterns.h"
#include "tests/testing/random.h"

namespace mneme::attention {
namespace {

using testing::Random;
using testing::Seed;

TEST(LandmarkAttention, EqualsTheGroupedSoftmaxForEveryBlockAndLength) {
  Random random(Seed());
  for (const size_t block : {2, 3, 8, 51}) {
    for (const size_t tokens : {1, 2, 7, 16, 60, 110}) {
      RandomHead head(random, tokens, 24, 12);
      LandmarkAttention(head.rows, block, head.out.data(), head.lse.data());
      head.Expect(reference::AttendLandmarks(
          head.values, tokens, 12, block,
          [&](size_t i, size_t j) { return head.Logit(i, j); }));
    }
  }
}

TEST(LandmarkAttention, LandmarksLendNoValue) {
  Random random(Seed());
  RandomHead head(random, 40, 16, 4);
  for (size_t t = 7; t < 40; t += 8) {
    for (size_t d = 0; d < 4; ++d) head.values[t * 4 + d] = 1e30f;
  }
  LandmarkAttention(head.rows, 8, head.out.data(), head.lse.data());
  for (const float x : head.out) EXPECT_LT(std::abs(x), 10);
}

TEST(LandmarkAttention, ALandmarkAsQueryIsTheLastTokenOfItsBlock) {
  Random random(Seed());
  RandomHead head(random, 8, 16, 4);
  LandmarkAttention(head.rows, 4, head.out.data(), head.lse.data());
  const std::vector<float> before = head.out;
  // Its own key and value count for nobody in the block.
  for (size_t d = 0; d < 16; ++d) head.keys[7 * 16 + d] = 50;
  for (size_t d = 0; d < 4; ++d) head.values[7 * 4 + d] = 50;
  LandmarkAttention(head.rows, 4, head.out.data(), head.lse.data());
  EXPECT_EQ(head.out, before);
}

}  // namespace
}  // namespace mneme::attention
