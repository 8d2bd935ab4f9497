#include "attention/ntk.h"

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

}  // namespace
}  // namespace mneme::attention
