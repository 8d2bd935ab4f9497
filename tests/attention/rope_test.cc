#include "attention/rope.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "tests/reference/rope.h"
#include "tests/testing/random.h"

namespace mneme::attention {
namespace {

using testing::Random;
using testing::Seed;

TEST(RopeFrequencies, FallFromOneByAConstantRatio) {
  const std::vector<double> f = RopeFrequencies(10000, 8);
  ASSERT_EQ(f.size(), 4);
  EXPECT_DOUBLE_EQ(f[0], 1);
  EXPECT_DOUBLE_EQ(f[1], 0.1);
  EXPECT_DOUBLE_EQ(f[2], 0.01);
  EXPECT_DOUBLE_EQ(f[3], 0.001);
}

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

TEST(NtkAwareFrequencies, KeepTheFastestPairAndInterpolateTheSlowestByAlpha) {
  for (const int n : {4, 32, 128}) {
    const std::vector<double> ntk = NtkAwareFrequencies(10000, n, {.alpha = 8});
    const std::vector<double> rope = RopeFrequencies(10000, n);
    EXPECT_EQ(ntk.front(), 1);
    EXPECT_NEAR(rope.back() / ntk.back(), 8, 1e-12 * 8);
    for (size_t j = 1; j + 1 < ntk.size(); ++j) {
      EXPECT_LT(ntk[j], rope[j]);
      EXPECT_GT(ntk[j], rope[j] / 8);
    }
  }
}

TEST(NtkByPartsFrequencies, AgreeWithThePublishedCode) {
  Random random(Seed());
  for (int round = 0; round < 200; ++round) {
    const double theta = random.Uniform(100, 1e6);
    const int n = 2 * static_cast<int>(random.Int(2, 64));
    const NtkByPartsConfig parts = {
        .factor = random.Uniform(1, 64),
        .original_length = random.Int(64, 1 << 20),
        .ntk_factor = random.Uniform(0, 1),
        .extrapolation_factor = random.Uniform(0, 1)};
    ExpectNear(
        NtkByPartsFrequencies(theta, n, parts),
        reference::NtkByPartsFrequencies(
            theta, n,
            {parts.factor, static_cast<double>(parts.original_length), 1.25,
             0.75, 16, 2, parts.ntk_factor, parts.extrapolation_factor}));
  }
}

TEST(NtkByPartsFrequencies, OfFactorOneAreThoseOfRope) {
  ExpectNear(NtkByPartsFrequencies(10000, 64, {.original_length = 2048}),
             RopeFrequencies(10000, 64));
}

TEST(DynamicNtkFrequencies, UpToMaxPositionAreThoseOfRope) {
  const DynamicNtkConfig dynamic = {.factor = 4, .max_position = 2048};
  const std::vector<double> rope = RopeFrequencies(10000, 64);
  for (const int64_t length : {0, 1, 2047, 2048}) {
    EXPECT_EQ(DynamicNtkFrequencies(10000, 64, dynamic, length), rope);
  }
  EXPECT_NE(DynamicNtkFrequencies(10000, 64, dynamic, 2049), rope);
}

TEST(DynamicNtkFrequencies, BeyondItAreNtkAwareOfTheLength) {
  const DynamicNtkConfig dynamic = {.factor = 2, .max_position = 1000};
  ExpectNear(DynamicNtkFrequencies(10000, 64, dynamic, 4000),
             NtkAwareFrequencies(10000, 64, {.alpha = 7}));
}

LongRopeConfig LongRope() {
  return {.short_factors = {1, 1.5},
          .long_factors = {4, 8},
          .original_length = 4096,
          .max_position = 131072};
}

TEST(LongRopeFrequencies, TakeTheLongListBeyondTheOriginalLength) {
  for (const int64_t length : {1, 4096}) {
    ExpectNear(LongRopeFrequencies(10000, 4, LongRope(), length),
               {1, 0.01 / 1.5});
  }
  for (const int64_t length : {4097, 1 << 30}) {
    ExpectNear(LongRopeFrequencies(10000, 4, LongRope(), length),
               {0.25, 0.01 / 8});
  }
}

TEST(LongRopeAttentionFactor, GrowsWithTheExtension) {
  LongRopeConfig config = LongRope();
  // ln(2^5) / ln(2^12).
  EXPECT_DOUBLE_EQ(LongRopeAttentionFactor(config), std::sqrt(1 + 5.0 / 12));
  config.max_position = 4096;
  EXPECT_EQ(LongRopeAttentionFactor(config), 1);
  config.attention_factor = 1.25;
  EXPECT_EQ(LongRopeAttentionFactor(config), 1.25);
}

TEST(Llama3Frequencies, AgreeWithThePublishedCode) {
  Random random(Seed());
  for (int round = 0; round < 200; ++round) {
    const double theta = random.Uniform(100, 1e6);
    const int n = 2 * static_cast<int>(random.Int(1, 64));
    const Llama3Config llama3 = {.factor = random.Uniform(1, 64),
                                 .original_length = random.Int(64, 1 << 20),
                                 .low_freq_factor = random.Uniform(0.5, 2),
                                 .high_freq_factor = random.Uniform(2.5, 8)};
    const std::vector<double> got = Llama3Frequencies(theta, n, llama3);
    const std::vector<double> expected = reference::Llama3Frequencies(
        theta, n, llama3.factor, static_cast<double>(llama3.original_length),
        llama3.low_freq_factor, llama3.high_freq_factor);
    ExpectNear(got, expected);
  }
}

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
