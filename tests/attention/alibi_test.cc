#include "attention/alibi.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace mneme::attention {
namespace {

// MPT's code: the power of two above, its list dealt into every second one.
std::vector<double> MptSlopes(double bias_max, int heads) {
  int count = 1;
  while (count < heads) count *= 2;
  std::vector<double> slopes;
  for (const int first : {count == heads ? 1 : 2, 1}) {
    for (int i = first; i <= count; i += count == heads ? 1 : 2) {
      slopes.push_back(std::pow(2, -bias_max * i / count));
    }
  }
  slopes.resize(heads);
  return slopes;
}

TEST(AlibiSlopes, OfAPowerOfTwoAreAGeometricSequence) {
  EXPECT_EQ(AlibiSlopes({}, 4),
            (std::vector<double>{1.0 / 4, 1.0 / 16, 1.0 / 64, 1.0 / 256}));
  EXPECT_EQ(AlibiSlopes({.bias_max = 16}, 2),
            (std::vector<double>{1.0 / 256, 1.0 / 65536}));
}

TEST(AlibiSlopes, OtherCountsAppendEveryOtherOfTheDoubledList) {
  EXPECT_EQ(AlibiSlopes({}, 6),
            (std::vector<double>{1.0 / 4, 1.0 / 16, 1.0 / 64, 1.0 / 256,
                                 1.0 / 2, 1.0 / 8}));
}

TEST(AlibiSlopes, AgreeWithMptForEveryHeadCount) {
  for (const double bias_max : {8.0, 16.0}) {
    for (int heads = 1; heads <= 130; ++heads) {
      const std::vector<double> slopes =
          AlibiSlopes({.bias_max = bias_max}, heads);
      const std::vector<double> expected = MptSlopes(bias_max, heads);
      ASSERT_EQ(slopes.size(), expected.size());
      for (int h = 0; h < heads; ++h) {
        ASSERT_DOUBLE_EQ(slopes[h], expected[h]) << heads << " heads";
      }
    }
  }
}

TEST(AlibiBias, GrowsWithDistanceAndNotWithPosition) {
  const AlibiBias bias({}, 8);
  EXPECT_EQ(bias.Slope(0), 0.5);
  EXPECT_EQ(bias.Bias(0, 10, 10), 0);
  EXPECT_EQ(bias.Bias(0, 10, 4), -3);
  EXPECT_EQ(bias.Bias(2, 10, 2), -1);
  const int64_t far = int64_t{1} << 52;
  EXPECT_EQ(bias.Bias(0, far + 10, far + 4), -3);
}

TEST(AlibiBias, DistancesBeyondTheClipCountAsTheClip) {
  const AlibiBias bias({.clip_distance = 100}, 1);
  EXPECT_EQ(bias.Bias(0, 1000, 901), -99.0 / 256);
  EXPECT_EQ(bias.Bias(0, 1000, 900), -100.0 / 256);
  EXPECT_EQ(bias.Bias(0, 1000, -1000000), -100.0 / 256);
}

TEST(AlibiBias, IsAddedToEachKeysLogit) {
  const AlibiBias bias({}, 8);
  const std::vector<int64_t> positions = {0, 7, 8};
  std::vector<float> logits = {1, 2, 3};
  bias.AddTo(0, 8, positions, logits.data());
  EXPECT_EQ(logits, (std::vector<float>{-3, 1.5, 3}));
}

}  // namespace
}  // namespace mneme::attention
