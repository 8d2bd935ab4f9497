#include "attention/projection.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "gtest/gtest.h"
#include "tests/reference/attention.h"

namespace mneme::attention {
namespace {

constexpr int kDim = 24;

TEST(OrthogonalProjection, RowsAreOrthogonalWithinEachRunOfKeyDim) {
  for (const RowNorms norms : {RowNorms::kGaussian, RowNorms::kSqrtKeyDim}) {
    const std::vector<float> w = OrthogonalProjection(60, kDim, 3, norms);
    ASSERT_EQ(w.size(), 60 * kDim);
    for (int a = 0; a < 60; ++a) {
      for (int b = 0; b < a; ++b) {
        const double cosine =
            reference::Dot(&w[a * kDim], &w[b * kDim], kDim) / kDim;
        if (a / kDim == b / kDim) {
          // Components of both rows were rounded to float; norms are below
          // twice sqrt(key_dim).
          EXPECT_NEAR(cosine, 0, 2 * 4 * 0x1p-24);
        }
      }
    }
  }
}

TEST(OrthogonalProjection, ScaledRowsAllHaveTheNormSqrtKeyDim) {
  const std::vector<float> w =
      OrthogonalProjection(30, kDim, 3, RowNorms::kSqrtKeyDim);
  for (int f = 0; f < 30; ++f) {
    EXPECT_NEAR(reference::Dot(&w[f * kDim], &w[f * kDim], kDim), kDim,
                2 * kDim * 0x1p-24);
  }
}

TEST(OrthogonalProjection, GaussianRowsHaveTheMomentsOfGaussianRows) {
  constexpr int kRows = 20000;
  const std::vector<float> w =
      OrthogonalProjection(kRows, kDim, 11, RowNorms::kGaussian);
  double mean = 0, square = 0, fourth = 0, norm_fourth = 0;
  for (int f = 0; f < kRows; ++f) {
    const double squares = reference::Dot(&w[f * kDim], &w[f * kDim], kDim);
    norm_fourth += squares * squares / kRows;
  }
  for (const double x : w) {
    mean += x / (kRows * kDim);
    square += x * x / (kRows * kDim);
    fourth += x * x * x * x / (kRows * kDim);
  }
  // Six standard errors of each estimate over 480000 (20000) numbers.
  EXPECT_NEAR(mean, 0, 6 / std::sqrt(kRows * kDim));
  EXPECT_NEAR(square, 1, 6 * std::sqrt(2.0 / (kRows * kDim)));
  EXPECT_NEAR(fourth, 3, 6 * std::sqrt(96.0 / (kRows * kDim)));
  // E|w|^4 = d (d + 2); its standard deviation is below d^2.
  EXPECT_NEAR(norm_fourth, kDim * (kDim + 2.0),
              6 * kDim * kDim / std::sqrt(kRows));
}

TEST(OrthogonalProjection, TheSeedDecidesEveryBitOnEveryMachine) {
  const std::vector<float> w =
      OrthogonalProjection(3, 4, 1, RowNorms::kGaussian);
  std::vector<uint32_t> bits(w.size());
  std::memcpy(bits.data(), w.data(), w.size() * sizeof(float));
  const std::vector<uint32_t> expected = {
      0xbde26c57, 0xbf8af0a4, 0xbf32d4d1, 0x3ff6b07a, 0xbfd91653, 0xbee46efd,
      0x3f59208d, 0xbd288ffc, 0x3dd34df4, 0xbfcc5d2b, 0xbf306334, 0xbf924f96};
  EXPECT_EQ(bits, expected);
  EXPECT_NE(w, OrthogonalProjection(3, 4, 2, RowNorms::kGaussian));
}

TEST(OrthogonalProjection, FewerFeaturesAreThePrefixOfMore) {
  const std::vector<float> few =
      OrthogonalProjection(5, 8, 7, RowNorms::kGaussian);
  std::vector<float> more = OrthogonalProjection(40, 8, 7, RowNorms::kGaussian);
  more.resize(few.size());
  EXPECT_EQ(few, more);
}

}  // namespace
}  // namespace mneme::attention
