#include "attention/xpos.h"

#include <cmath>
#include <vector>

#include "attention/position.h"
#include "gtest/gtest.h"
#include "tests/reference/attention.h"
#include "tests/reference/rope.h"
#include "tests/testing/random.h"

namespace mneme::attention {
namespace {

using testing::Random;
using testing::Seed;

constexpr int kDim = 64;

PositionEncoder Xpos() {
  return PositionEncoder::Create({.family = PositionFamily::kXpos,
                                  .layout = RotaryLayout::kInterleaved},
                                 kDim)
      .value();
}

std::vector<float> Encoded(const PositionEncoder& encoder,
                           std::vector<float> row, int64_t position,
                           int64_t center, bool key_side) {
  std::vector<float> cos(kDim / 2), sin(kDim / 2), magnitudes(kDim / 2);
  const std::vector<int64_t> positions = {position};
  encoder.Angles(positions, cos.data(), sin.data());
  encoder.Magnitudes(positions, center, key_side, magnitudes.data());
  encoder.Rotate(row.data(), 1, kDim, cos.data(), sin.data(),
                 magnitudes.data());
  return row;
}

double Logit(const PositionEncoder& encoder, const std::vector<float>& query,
             const std::vector<float>& key, int64_t t, int64_t p,
             int64_t center) {
  const std::vector<float> a = Encoded(encoder, query, t, center, false);
  const std::vector<float> b = Encoded(encoder, key, p, center, true);
  return reference::Dot(a.data(), b.data(), kDim);
}

// By the relative form: zeta_j^((t - p) / 512) times the rotation by t - p.
double ExpectedLogit(const PositionEncoder& encoder,
                     const std::vector<float>& query,
                     const std::vector<float>& key, int64_t distance) {
  double logit = 0;
  for (int j = 0; j < kDim / 2; ++j) {
    const double zeta = (2.0 * j + 0.4 * kDim) / (1.4 * kDim);
    const auto [c, s] = reference::CosSin(distance, encoder.inv_freq()[j]);
    const double x = query[2 * j] * c - query[2 * j + 1] * s;
    const double y = query[2 * j] * s + query[2 * j + 1] * c;
    logit += std::pow(zeta, static_cast<double>(distance) / 512) *
             (x * key[2 * j] + y * key[2 * j + 1]);
  }
  return logit;
}

// Rotations and magnitudes round each component of each row up to 7 times; the
// norms of rows of 64 stay below 12.
constexpr double kLogitError = 2 * 7 * 0x1p-24 * 12 * 12;

TEST(Xpos, LogitsDependOnDistanceAndNotOnTheCenter) {
  Random random(Seed());
  const PositionEncoder encoder = Xpos();
  for (int round = 0; round < 200; ++round) {
    const std::vector<float> query = random.Normals(kDim);
    const std::vector<float> key = random.Normals(kDim);
    const int64_t p = random.Int(0, 8192);
    const int64_t t = p + random.Int(0, 8192);
    const double expected = ExpectedLogit(encoder, query, key, t - p);
    // At the ends of the span, magnitudes of e^64 and e^-64 meet.
    for (const int64_t center : {p, t, (p + t) / 2, t + random.Int(0, 9000),
                                 p - random.Int(0, 9000)}) {
      EXPECT_NEAR(Logit(encoder, query, key, t, p, center), expected,
                  kLogitError);
    }
  }
}

TEST(Xpos, FarPositionsNeedOnlyACenterBetweenThem) {
  Random random(Seed());
  const PositionEncoder encoder = Xpos();
  const std::vector<float> query = random.Normals(kDim);
  const std::vector<float> key = random.Normals(kDim);
  for (const int64_t start : {int64_t{0}, int64_t{1} << 40}) {
    for (const int64_t distance : {65536, 1000000}) {
      const double logit = Logit(encoder, query, key, start + distance, start,
                                 start + distance / 2);
      EXPECT_NEAR(logit, ExpectedLogit(encoder, query, key, distance),
                  kLogitError)
          << distance;
    }
  }
}

TEST(Xpos, NoMagnitudeOverflowsOrVanishesWhateverTheCenter) {
  const PositionEncoder encoder = Xpos();
  std::vector<float> magnitudes(kDim / 2);
  for (const int64_t position : {int64_t{-1} << 53, int64_t{1} << 53}) {
    for (const bool key_side : {false, true}) {
      const std::vector<int64_t> positions = {position};
      encoder.Magnitudes(positions, 0, key_side, magnitudes.data());
      for (const float m : magnitudes) {
        EXPECT_TRUE(std::isnormal(m)) << m;
      }
    }
  }
}

TEST(Xpos, TheSafeSpanIsWhereTheSteepestPairSaturates) {
  const XposConfig xpos;
  const std::vector<double> scales = XposLogScales(kDim);
  const int64_t span = XposSafeSpan(xpos);
  EXPECT_EQ(span, 26156);
  std::vector<float> inside(kDim / 2), at(kDim / 2), beyond(kDim / 2);
  XposMagnitudes(xpos, scales, -span + 1, false, inside.data());
  XposMagnitudes(xpos, scales, -span, false, at.data());
  XposMagnitudes(xpos, scales, -span - 1000, false, beyond.data());
  EXPECT_LT(inside[0], at[0]);
  EXPECT_FLOAT_EQ(beyond[0], std::exp(64.0f));
  EXPECT_NEAR(std::log(at[0]), 64, 0.0025);
}

TEST(Xpos, QueryAndKeyMagnitudesAreInverse) {
  const XposConfig xpos{.scale_base = 100};
  const std::vector<double> scales = XposLogScales(8);
  float query[4], key[4];
  XposMagnitudes(xpos, scales, 250, false, query);
  XposMagnitudes(xpos, scales, 250, true, key);
  for (int j = 0; j < 4; ++j) {
    const double expected = std::pow((2.0 * j + 0.4 * 8) / (1.4 * 8), 2.5);
    EXPECT_NEAR(query[j], expected, 2 * 0x1p-24 * expected);
    EXPECT_NEAR(query[j] * key[j], 1, 3 * 0x1p-24);
  }
}

TEST(Xpos, OtherFamiliesHaveMagnitudesOfOne) {
  const PositionEncoder rope =
      PositionEncoder::Create({.family = PositionFamily::kRope}, 8).value();
  EXPECT_FALSE(rope.has_magnitude());
  EXPECT_TRUE(Xpos().has_magnitude());
  const std::vector<int64_t> positions = {1, 2};
  std::vector<float> magnitudes(9, 7.0f);
  rope.Magnitudes(positions, 0, true, magnitudes.data());
  EXPECT_EQ(magnitudes, (std::vector<float>{1, 1, 1, 1, 1, 1, 1, 1, 7}));
}

}  // namespace
}  // namespace mneme::attention
