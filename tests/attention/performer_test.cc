#include "attention/performer.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "attention/projection.h"
#include "gtest/gtest.h"
#include "tests/reference/attention.h"
#include "tests/reference/performer.h"
#include "tests/testing/random.h"
#include "tests/testing/targets.h"

namespace mneme::attention {
namespace {

using testing::OnEveryTarget;
using testing::Random;
using testing::Seed;

constexpr int kFeatures = 48;
constexpr int kKeyDim = 16;
constexpr int kValueDim = 8;
constexpr size_t kTokens = 150;  // Over the tiles of the implementation.

// An exponent carries key_dim + 8 roundings of magnitudes up to about 20 (a
// projected row and its norm), so a feature is off by that much of itself. Out
// is a ratio of sums of positive features, whose signed values stay below 5;
// the sums' own roundings have random signs.
constexpr double kError = 5 * 2 * ((kKeyDim + 8) * 20 + 6 * 15) * 0x1p-24;

PerformerFeatures Features(PerformerKernel kernel) {
  return {.kernel = kernel,
          .feature_count = kFeatures,
          .key_dim = kKeyDim,
          .projection =
              OrthogonalProjection(kFeatures, kKeyDim, 5, RowNorms::kGaussian),
          .epsilon = kernel == PerformerKernel::kRelu ? 1e-3f : 1e-4f};
}

reference::Favor Slow(const PerformerFeatures& features) {
  return {features.kernel == PerformerKernel::kRelu, kFeatures, kKeyDim,
          features.projection, features.epsilon};
}

struct Rows {
  explicit Rows(Random& random)
      : queries(random.Normals(kTokens * kKeyDim)),
        keys(random.Normals(kTokens * kKeyDim)),
        values(random.Normals(kTokens * kValueDim)) {}

  std::vector<float> queries;
  std::vector<float> keys;
  std::vector<float> values;
};

std::vector<float> Attend(const PerformerFeatures& features, const Rows& rows,
                          LinearMask mask, float denominator_epsilon,
                          PerformerState& state) {
  std::vector<float> out(kTokens * kValueDim);
  PerformerAttention(features, rows.queries.data(), kTokens, rows.keys.data(),
                     rows.values.data(), kTokens, mask, denominator_epsilon,
                     state, out.data());
  return out;
}

void ExpectRow(const std::vector<float>& out, size_t row,
               const std::vector<double>& expected) {
  for (int d = 0; d < kValueDim; ++d) {
    ASSERT_NEAR(out[row * kValueDim + d], expected[d], kError) << "row " << row;
  }
}

TEST(PerformerAttention, AgreesWithDoubleForBothKernelsAndMasks) {
  Random random(Seed());
  const Rows rows(random);
  OnEveryTarget([&] {
    for (const auto kernel :
         {PerformerKernel::kSoftmax, PerformerKernel::kRelu}) {
      const PerformerFeatures features = Features(kernel);
      for (const LinearMask mask : {LinearMask::kNone, LinearMask::kCausal}) {
        PerformerState state(kFeatures, kValueDim);
        const std::vector<float> out =
            Attend(features, rows, mask, 1e-3f, state);
        for (size_t i = 0; i < kTokens; ++i) {
          const size_t seen = mask == LinearMask::kCausal ? i + 1 : kTokens;
          const double stabilizer = reference::FavorStabilizer(
              Slow(features), rows.keys.data(), seen);
          ExpectRow(
              out, i,
              reference::FavorRead(Slow(features), &rows.queries[i * kKeyDim],
                                   rows.keys.data(), rows.values.data(), seen,
                                   kValueDim, stabilizer, 1e-3f));
        }
      }
    }
  });
}

TEST(PerformerAttention, AGivenStabilizerStaysForEveryCausalRow) {
  Random random(Seed());
  const Rows rows(random);
  const PerformerFeatures features = Features(PerformerKernel::kSoftmax);
  const double stabilizer =
      reference::FavorStabilizer(Slow(features), rows.keys.data(), kTokens) + 1;
  PerformerState state(kFeatures, kValueDim);
  state.stabilizer = static_cast<float>(stabilizer);
  const std::vector<float> out =
      Attend(features, rows, LinearMask::kCausal, 1e-6f, state);
  EXPECT_EQ(state.stabilizer, static_cast<float>(stabilizer));
  for (size_t i = 0; i < kTokens; ++i) {
    ExpectRow(out, i,
              reference::FavorRead(Slow(features), &rows.queries[i * kKeyDim],
                                   rows.keys.data(), rows.values.data(), i + 1,
                                   kValueDim, stabilizer, 1e-6f));
  }
}

TEST(AbsorbFeatures, TheStateDoesNotDependOnTheCut) {
  Random random(Seed());
  const Rows rows(random);
  for (const auto kernel :
       {PerformerKernel::kSoftmax, PerformerKernel::kRelu}) {
    const PerformerFeatures features = Features(kernel);
    PerformerState whole(kFeatures, kValueDim);
    AbsorbFeatures(features, rows.keys.data(), rows.values.data(), kTokens,
                   whole);
    for (const size_t cut : {1, 7, 64}) {
      PerformerState state(kFeatures, kValueDim);
      for (size_t first = 0; first < kTokens; first += cut) {
        AbsorbFeatures(features, &rows.keys[first * kKeyDim],
                       &rows.values[first * kValueDim],
                       std::min(cut, kTokens - first), state);
      }
      EXPECT_EQ(state.stabilizer, whole.stabilizer);
      EXPECT_EQ(state.token_count, whole.token_count);
      // Each sum's roundings, and one for each time the stabiliser grew.
      for (size_t i = 0; i < whole.matrix.size(); ++i) {
        ASSERT_NEAR(state.matrix[i], whole.matrix[i],
                    2 * 150 * 0x1p-24 * 15 * std::sqrt(150.0));
      }
      std::vector<float> out(kValueDim), expected(kValueDim);
      ReadFeatures(features, state, rows.queries.data(), 0, out.data());
      ReadFeatures(features, whole, rows.queries.data(), 0, expected.data());
      for (int d = 0; d < kValueDim; ++d) {
        EXPECT_NEAR(out[d], expected[d], kError);
      }
    }
  }
}

TEST(PerformerAttention, ManyFeaturesOfShortRowsApproachTheSoftmax) {
  Random random(Seed());
  constexpr int kMany = 4096;
  PerformerFeatures features = {.feature_count = kMany,
                                .key_dim = kKeyDim,
                                .projection = OrthogonalProjection(
                                    kMany, kKeyDim, 1, RowNorms::kGaussian),
                                .epsilon = 0};
  const std::vector<float> query = random.Normals(kKeyDim, 0.7);
  const std::vector<float> keys = random.Normals(20 * kKeyDim, 0.7);
  const std::vector<float> values = random.Normals(20 * kValueDim);
  PerformerState state(kMany, kValueDim);
  std::vector<float> out(kValueDim);
  PerformerAttention(features, query.data(), 1, keys.data(), values.data(), 20,
                     LinearMask::kNone, 0, state, out.data());
  std::vector<float> logits(20);
  for (size_t k = 0; k < 20; ++k) {
    logits[k] = static_cast<float>(
        reference::Dot(query.data(), &keys[k * kKeyDim], kKeyDim) /
        std::sqrt(kKeyDim));
  }
  const reference::Attended exact =
      reference::Attend(logits.data(), values.data(), 20, kValueDim);
  // A kernel value's relative variance is exp(|q + k|^2 / 4) / kMany (lemma 2),
  // |q + k|^2 being about 16; six deviations of values of 1.
  const double deviation = std::sqrt(std::exp(4.0) / kMany);
  for (int d = 0; d < kValueDim; ++d) {
    EXPECT_NEAR(out[d], exact.out[d], 6 * deviation * exact.magnitude[d]);
  }
}

TEST(ReadFeatures, AnEmptyStateGivesFalseAndZeros) {
  const PerformerFeatures features = Features(PerformerKernel::kSoftmax);
  const PerformerState state(kFeatures, kValueDim);
  const std::vector<float> query(kKeyDim, 1.0f);
  std::vector<float> out(kValueDim, 7.0f);
  EXPECT_FALSE(ReadFeatures(features, state, query.data(), 0, out.data()));
  EXPECT_EQ(out, std::vector<float>(kValueDim));
}

TEST(ReadFeatures, HugeRowsStayFinite) {
  const PerformerFeatures features = Features(PerformerKernel::kSoftmax);
  PerformerState state(kFeatures, kValueDim);
  const std::vector<float> key(kKeyDim, 1e4f);
  const std::vector<float> value(kValueDim, 3.0f);
  AbsorbFeatures(features, key.data(), value.data(), 1, state);
  std::vector<float> out(kValueDim);
  ReadFeatures(features, state, key.data(), 0, out.data());
  for (const float x : out) EXPECT_FLOAT_EQ(x, 3.0f);
}

TEST(ReadFeatures, FeaturesThatAllVanishGiveZerosNotNan) {
  PerformerFeatures features = Features(PerformerKernel::kSoftmax);
  features.epsilon = 0;
  PerformerState state(kFeatures, kValueDim);
  const std::vector<float> key(kKeyDim, 1e4f);
  const std::vector<float> value(kValueDim, 3.0f);
  AbsorbFeatures(features, key.data(), value.data(), 1, state);
  std::vector<float> out(kValueDim, 7.0f);
  EXPECT_TRUE(ReadFeatures(features, state, key.data(), 0, out.data()));
  EXPECT_EQ(out, std::vector<float>(kValueDim));
}

}  // namespace
}  // namespace mneme::attention
