#include "attention/position.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "attention/rope.h"
#include "gtest/gtest.h"
#include "tests/reference/attention.h"
#include "tests/reference/rope.h"
#include "tests/testing/random.h"

namespace mneme::attention {
namespace {

using testing::Random;
using testing::Seed;

PositionConfig Rope(RotaryLayout layout = RotaryLayout::kHalfSplit) {
  return {.family = PositionFamily::kRope, .layout = layout};
}

PositionConfig Yarn() {
  return {.family = PositionFamily::kYarn,
          .yarn = {.factor = 4, .original_length = 2048}};
}

PositionEncoder Create(const PositionConfig& config, int key_dim) {
  return PositionEncoder::Create(config, key_dim).value();
}

struct Turned {
  std::vector<float> cos;
  std::vector<float> sin;
};

Turned AnglesOf(const PositionEncoder& encoder,
                const std::vector<int64_t>& positions) {
  const size_t size = positions.size() * encoder.inv_freq().size();
  Turned t{std::vector<float>(size), std::vector<float>(size)};
  encoder.Angles(positions, t.cos.data(), t.sin.data());
  return t;
}

std::vector<float> RotateTo(const PositionEncoder& encoder, int64_t position,
                            std::vector<float> row) {
  const Turned t = AnglesOf(encoder, {position});
  encoder.Rotate(row.data(), 1, row.size(), t.cos.data(), t.sin.data());
  return row;
}

// The angles must be those of double, rounded once: half a unit of a number up
// to 1, and the 1e-12 that is promised before.
void ExpectAngles(const PositionEncoder& encoder,
                  const std::vector<int64_t>& positions) {
  const Turned t = AnglesOf(encoder, positions);
  const size_t pairs = encoder.inv_freq().size();
  for (size_t p = 0; p < positions.size(); ++p) {
    for (size_t j = 0; j < pairs; ++j) {
      const auto [c, s] =
          reference::CosSin(positions[p], encoder.inv_freq()[j]);
      ASSERT_NEAR(t.cos[p * pairs + j], c, 0x1p-25 + 1e-12) << positions[p];
      ASSERT_NEAR(t.sin[p * pairs + j], s, 0x1p-25 + 1e-12) << positions[p];
    }
  }
}

PositionConfig DynamicNtk() {
  return {.family = PositionFamily::kDynamicNtk,
          .dynamic_ntk = {.factor = 2, .max_position = 256}};
}

PositionConfig LongRope() {
  return {.family = PositionFamily::kLongRope,
          .long_rope = {.short_factors = {1, 1, 1, 2},
                        .long_factors = {1, 2, 4, 8},
                        .original_length = 256,
                        .max_position = 1024}};
}

std::vector<double> FrequenciesOf(const PositionEncoder& encoder) {
  return {encoder.inv_freq().begin(), encoder.inv_freq().end()};
}

TEST(PositionEncoder, EveryFamilyTurnsByItsOwnFrequencies) {
  PositionConfig config;
  config.theta = 5000;
  config.yarn = {.factor = 4, .original_length = 2048};
  config.linear = {.factor = 3};
  config.ntk_aware = {.alpha = 5};
  config.ntk_by_parts = {.factor = 4, .original_length = 2048};
  config.dynamic_ntk = DynamicNtk().dynamic_ntk;
  config.long_rope = LongRope().long_rope;
  config.llama3 = {.factor = 8, .original_length = 8192};
  const std::vector<std::pair<PositionFamily, std::vector<double>>> cases = {
      {PositionFamily::kRope, RopeFrequencies(5000, 8)},
      {PositionFamily::kYarn, YarnFrequencies(5000, 8, config.yarn)},
      {PositionFamily::kLinear, LinearFrequencies(5000, 8, config.linear)},
      {PositionFamily::kNtkAware,
       NtkAwareFrequencies(5000, 8, config.ntk_aware)},
      {PositionFamily::kNtkByParts,
       NtkByPartsFrequencies(5000, 8, config.ntk_by_parts)},
      {PositionFamily::kDynamicNtk, RopeFrequencies(5000, 8)},
      {PositionFamily::kLongRope,
       LongRopeFrequencies(5000, 8, config.long_rope, 1)},
      {PositionFamily::kLlama3, Llama3Frequencies(5000, 8, config.llama3)},
      {PositionFamily::kXpos, RopeFrequencies(5000, 8)},
  };
  for (const auto& [family, frequencies] : cases) {
    config.family = family;
    const PositionEncoder encoder = Create(config, 8);
    EXPECT_EQ(FrequenciesOf(encoder), frequencies) << static_cast<int>(family);
    EXPECT_EQ(encoder.rotary_dim(), 8);
    EXPECT_EQ(encoder.depends_on_length(),
              family == PositionFamily::kDynamicNtk ||
                  family == PositionFamily::kLongRope);
    EXPECT_EQ(FrequenciesOf(encoder.ForLength(1000)) == frequencies,
              !encoder.depends_on_length());
  }
}

TEST(PositionEncoder, ASequenceThatGrewEqualsAFreshOneOfItsLength) {
  for (const PositionConfig& config : {DynamicNtk(), LongRope()}) {
    const PositionEncoder fresh = Create(config, 8).ForLength(700);
    PositionEncoder grown = Create(config, 8);
    for (const int64_t length : {1, 256, 257, 3000, 100, 700}) {
      grown = grown.ForLength(length);
    }
    EXPECT_EQ(FrequenciesOf(grown), FrequenciesOf(fresh));
    EXPECT_EQ(grown.attention_factor(), fresh.attention_factor());
    ExpectAngles(grown, {0, 1, 127, 128, 699, 1 << 20});
    const std::vector<float> row = {1, 2, 3, 4, 5, 6, 7, 8};
    EXPECT_EQ(RotateTo(grown, 699, row), RotateTo(fresh, 699, row));
  }
}

TEST(PositionEncoder, ALengthWithinTheOriginalChangesNothing) {
  for (const PositionConfig& config : {DynamicNtk(), LongRope()}) {
    const PositionEncoder encoder = Create(config, 8);
    EXPECT_EQ(encoder.ForLength(0).inv_freq().data(),
              encoder.inv_freq().data());
    EXPECT_EQ(encoder.ForLength(256).inv_freq().data(),
              encoder.inv_freq().data());
    EXPECT_NE(FrequenciesOf(encoder.ForLength(257)), FrequenciesOf(encoder));
  }
}

TEST(PositionEncoder, CopiesShareTheirTables) {
  const PositionEncoder encoder = Create(Yarn(), 64);
  const PositionEncoder copy = encoder;
  EXPECT_EQ(copy.inv_freq().data(), encoder.inv_freq().data());
  EXPECT_EQ(encoder.ForLength(1 << 20).inv_freq().data(),
            encoder.inv_freq().data());
}

TEST(PositionEncoder, AlibiTurnsNothing) {
  const PositionEncoder encoder = Create({.family = PositionFamily::kAlibi}, 7);
  EXPECT_EQ(encoder.rotary_dim(), 0);
  const std::vector<float> row = {1, 2, 3, 4, 5, 6, 7};
  EXPECT_EQ(RotateTo(encoder, 1000, row), row);
}

TEST(PositionEncoder, NoneTurnsNothing) {
  const PositionEncoder encoder = Create({}, 7);
  EXPECT_EQ(encoder.rotary_dim(), 0);
  EXPECT_TRUE(encoder.inv_freq().empty());
  EXPECT_EQ(encoder.attention_factor(), 1);
  const std::vector<float> row = {1, 2, 3, 4, 5, 6, 7};
  EXPECT_EQ(RotateTo(encoder, 1000, row), row);
}

TEST(PositionEncoder, YarnAndLongRopeHaveAnAttentionFactor) {
  EXPECT_EQ(Create(Rope(), 64).attention_factor(), 1);
  EXPECT_EQ(Create(DynamicNtk(), 64).attention_factor(), 1);
  EXPECT_DOUBLE_EQ(Create(LongRope(), 8).attention_factor(),
                   std::sqrt(1 + 2.0 / 8));
  EXPECT_DOUBLE_EQ(Create(Yarn(), 64).attention_factor(),
                   0.1 * std::log(4.0) + 1);
}

TEST(PositionEncoder, AnglesOfConsecutiveRunsAreThoseOfEachPosition) {
  const PositionEncoder encoder = Create(Rope(), 128);
  for (const int64_t start :
       {int64_t{0}, int64_t{-300}, int64_t{4093}, int64_t{1000003},
        int64_t{1} << 31, (int64_t{1} << 40) - 200}) {
    std::vector<int64_t> positions(400);
    std::iota(positions.begin(), positions.end(), start);
    ExpectAngles(encoder, positions);
  }
}

TEST(PositionEncoder, AnglesOfAnyPositionsInAnyOrderAgreeWithReference) {
  Random random(Seed());
  const PositionEncoder encoder = Create(Yarn(), 64);
  std::vector<int64_t> positions;
  for (int i = 0; i < 500; ++i) {
    const int64_t most = int64_t{1} << random.Int(0, 40);
    positions.push_back(random.Int(-most, most));
  }
  ExpectAngles(encoder, positions);
}

TEST(PositionEncoder, APositionsAnglesDoNotDependOnItsNeighbours) {
  Random random(Seed());
  const PositionEncoder encoder = Create(Rope(), 64);
  std::vector<int64_t> positions(300);
  std::iota(positions.begin(), positions.end(), random.Int(0, 1 << 30));
  const Turned together = AnglesOf(encoder, positions);
  for (size_t p = 0; p < positions.size(); ++p) {
    const Turned alone = AnglesOf(encoder, {positions[p]});
    for (size_t j = 0; j < 32; ++j) {
      ASSERT_EQ(alone.cos[j], together.cos[p * 32 + j]);
      ASSERT_EQ(alone.sin[j], together.sin[p * 32 + j]);
    }
  }
}

TEST(PositionEncoder, TheFarthestPositionsStillHaveAngles) {
  const PositionEncoder encoder = Create(Rope(), 8);
  const Turned t = AnglesOf(encoder, {std::numeric_limits<int64_t>::min(),
                                      std::numeric_limits<int64_t>::max()});
  for (size_t i = 0; i < t.cos.size(); ++i) {
    EXPECT_NEAR(std::hypot(t.cos[i], t.sin[i]), 1, 0x1p-22);
  }
}

TEST(PositionEncoder, RotationAgreesWithReferenceInBothLayouts) {
  Random random(Seed());
  for (const RotaryLayout layout :
       {RotaryLayout::kHalfSplit, RotaryLayout::kInterleaved}) {
    for (const int rotary_dim : {2, 24, 48, 80}) {
      PositionConfig config = Rope(layout);
      config.rotary_dim = rotary_dim;
      const PositionEncoder encoder = Create(config, 80);
      const std::vector<double> frequencies(encoder.inv_freq().begin(),
                                            encoder.inv_freq().end());
      std::vector<int64_t> positions;
      for (int i = 0; i < 5; ++i) positions.push_back(random.Int(0, 1 << 20));
      const size_t stride = 83;  // Rows need not touch.
      const std::vector<float> before = random.Normals(5 * stride);
      std::vector<float> after = before;
      const Turned t = AnglesOf(encoder, positions);
      encoder.Rotate(after.data(), 5, stride, t.cos.data(), t.sin.data());
      for (size_t r = 0; r < 5; ++r) {
        const std::vector<float> row(&before[r * stride],
                                     &before[r * stride] + stride);
        const std::vector<double> expected =
            reference::Rotate(row, positions[r], frequencies,
                              layout == RotaryLayout::kInterleaved);
        for (size_t i = 0; i < stride; ++i) {
          const float got = after[r * stride + i];
          if (i >= static_cast<size_t>(rotary_dim)) {
            ASSERT_EQ(got, row[i]);
            continue;
          }
          // cos, sin, two products and a sum: a rounding each, of components
          // that stay below 6.
          ASSERT_NEAR(got, expected[i], 5 * 0x1p-24 * 6);
        }
      }
    }
  }
}

TEST(PositionEncoder, RotationPreservesNorms) {
  Random random(Seed());
  const PositionEncoder encoder = Create(Yarn(), 128);
  for (int round = 0; round < 100; ++round) {
    const std::vector<float> row = random.Normals(128);
    const std::vector<float> turned =
        RotateTo(encoder, random.Int(0, int64_t{1} << 40), row);
    const double before = reference::Dot(row.data(), row.data(), 128);
    EXPECT_NEAR(reference::Dot(turned.data(), turned.data(), 128), before,
                10 * 0x1p-24 * before);
  }
}

TEST(PositionEncoder, LogitsDependOnDifferencesOnly) {
  Random random(Seed());
  for (const PositionConfig& config :
       {Rope(), Rope(RotaryLayout::kInterleaved), Yarn()}) {
    const PositionEncoder encoder = Create(config, 64);
    for (int round = 0; round < 100; ++round) {
      const std::vector<float> query = random.Normals(64);
      const std::vector<float> key = random.Normals(64);
      const int64_t t = random.Int(0, 5000);
      const int64_t p = random.Int(0, 5000);
      const int64_t far = random.Int(0, int64_t{1} << 40);
      const auto logit = [&](int64_t shift) {
        const std::vector<float> a = RotateTo(encoder, t + shift, query);
        const std::vector<float> b = RotateTo(encoder, p + shift, key);
        return reference::Dot(a.data(), b.data(), 64);
      };
      // Each component of each row carries up to 5 roundings (see above), in
      // both logits; norms stay below 12.
      EXPECT_NEAR(logit(far), logit(0), 2 * 2 * 5 * 0x1p-24 * 12 * 12);
    }
  }
}

TEST(PositionEncoder, YarnOfFactorOneIsRope) {
  PositionConfig config = Yarn();
  config.yarn.factor = 1;
  const PositionEncoder yarn = Create(config, 64);
  const PositionEncoder rope = Create(Rope(), 64);
  EXPECT_EQ(yarn.attention_factor(), 1);
  for (size_t j = 0; j < 32; ++j) {
    EXPECT_DOUBLE_EQ(yarn.inv_freq()[j], rope.inv_freq()[j]);
  }
}

}  // namespace
}  // namespace mneme::attention
