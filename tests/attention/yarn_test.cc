#include "attention/yarn.h"

#include <cmath>
#include <vector>

#include "attention/rope.h"
#include "gtest/gtest.h"
#include "tests/attention/frequencies_near.h"
#include "tests/reference/rope.h"
#include "tests/testing/random.h"

namespace mneme::attention {
namespace {

using testing::Random;
using testing::Seed;

TEST(YarnFrequencies, OfFactorOneAreThoseOfRope) {
  for (const int n : {2, 32, 64, 128}) {
    const std::vector<double> yarn =
        YarnFrequencies(500000, n, {.original_length = 8192});
    const std::vector<double> rope = RopeFrequencies(500000, n);
    ASSERT_EQ(yarn.size(), rope.size());
    for (size_t j = 0; j < rope.size(); ++j) {
      EXPECT_DOUBLE_EQ(yarn[j], rope[j]);
    }
  }
}

TEST(YarnFrequencies, KeepTheFastAndInterpolateTheSlow) {
  // Pair 20 of 64 turns 32 times in 4096 positions, pair 46 once.
  const std::vector<double> yarn =
      YarnFrequencies(10000, 128, {.factor = 16, .original_length = 4096});
  const std::vector<double> rope = RopeFrequencies(10000, 128);
  for (size_t j = 0; j < 64; ++j) {
    const double ratio = rope[j] / yarn[j];
    if (j <= 20) {
      EXPECT_DOUBLE_EQ(ratio, 1) << j;
    } else if (j >= 46) {
      EXPECT_DOUBLE_EQ(ratio, 16) << j;
    } else {
      EXPECT_GT(ratio, 1) << j;
      EXPECT_LT(ratio, 16) << j;
    }
  }
}

TEST(YarnFrequencies, AgreeWithTheCheckpointsCode) {
  Random random(Seed());
  for (int round = 0; round < 200; ++round) {
    const double theta = random.Uniform(100, 1e6);
    const int n = 2 * static_cast<int>(random.Int(1, 64));
    const YarnConfig yarn = {.factor = random.Uniform(1, 64),
                             .original_length = random.Int(64, 1 << 20),
                             .beta_fast = random.Uniform(8, 64),
                             .beta_slow = random.Uniform(0.5, 4),
                             .truncate = random.Int(0, 1) == 1};
    ExpectNear(
        YarnFrequencies(theta, n, yarn),
        reference::YarnFrequencies(
            theta, n, yarn.factor, static_cast<double>(yarn.original_length),
            yarn.beta_fast, yarn.beta_slow, yarn.truncate));
  }
}

TEST(YarnFrequencies, WithoutExtrapolationInterpolateEveryPair) {
  const std::vector<double> yarn = YarnFrequencies(
      10000, 64,
      {.factor = 4, .original_length = 2048, .extrapolation_factor = 0});
  const std::vector<double> rope = RopeFrequencies(10000, 64);
  for (size_t j = 0; j < rope.size(); ++j) {
    EXPECT_DOUBLE_EQ(yarn[j], rope[j] / 4);
  }
}

TEST(YarnAttentionFactor, GrowsWithTheLogarithmOfTheFactor) {
  EXPECT_DOUBLE_EQ(YarnAttentionFactor({.factor = 16}),
                   0.1 * std::log(16.0) + 1);
  EXPECT_DOUBLE_EQ(YarnAttentionFactor({.factor = 1}), 1);
  EXPECT_DOUBLE_EQ(YarnAttentionFactor({.factor = 16, .attn_factor = 2}),
                   2 * (0.1 * std::log(16.0) + 1));
}

TEST(YarnAttentionFactor, IsARatioWhenBothScalesAreGiven) {
  const double log = 0.1 * std::log(40.0);
  // DeepSeek V2: equal scales cancel, and the softmax scale carries them.
  EXPECT_DOUBLE_EQ(
      YarnAttentionFactor(
          {.factor = 40, .mscale = 0.707, .mscale_all_dim = 0.707}),
      1);
  EXPECT_DOUBLE_EQ(YarnAttentionFactor({.factor = 40,
                                        .attn_factor = 2,
                                        .mscale = 1.5,
                                        .mscale_all_dim = 0.5}),
                   2 * (1.5 * log + 1) / (0.5 * log + 1));
}

TEST(YarnAttentionFactor, GivenInFullReplacesTheFormula) {
  EXPECT_DOUBLE_EQ(
      YarnAttentionFactor(
          {.factor = 16, .attention_factor = 1.25, .attn_factor = 2}),
      1.25);
}

}  // namespace
}  // namespace mneme::attention
