#include "attention/normalize.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/reference/attention.h"
#include "tests/testing/random.h"

namespace mneme::attention {
namespace {

using testing::Random;
using testing::Seed;

TEST(NormalizeRows, AgreesWithDoubleInBothForms) {
  Random random(Seed());
  for (const NormGuard guard :
       {NormGuard::kClampedNorm, NormGuard::kAddedSquares}) {
    for (int round = 0; round < 50; ++round) {
      const size_t dim = random.Int(1, 130);
      // Small rows, where the two forms differ.
      const std::vector<float> before = random.Normals(3 * dim, 1e-3);
      std::vector<float> after = before;
      NormalizeRows(after.data(), 3, dim, guard);
      for (size_t r = 0; r < 3; ++r) {
        const float* row = &before[r * dim];
        const double squares = reference::Dot(row, row, dim);
        const double norm = guard == NormGuard::kClampedNorm
                                ? std::sqrt(squares)
                                : std::sqrt(squares + 1e-6);
        for (size_t i = 0; i < dim; ++i) {
          // Of a component up to 1: half a unit in the last place.
          ASSERT_NEAR(after[r * dim + i], row[i] / norm, 0x1p-25 * 1.01);
        }
      }
    }
  }
}

TEST(NormalizeRows, ZerosStayZeros) {
  for (const NormGuard guard :
       {NormGuard::kClampedNorm, NormGuard::kAddedSquares}) {
    std::vector<float> row(5);
    NormalizeRows(row.data(), 1, 5, guard);
    EXPECT_EQ(row, std::vector<float>(5));
  }
}

TEST(NormalizeRows, TheLargestNumbersDoNotOverflow) {
  const float largest = std::numeric_limits<float>::max();
  std::vector<float> row = {largest, -largest, 0, 0};
  NormalizeRows(row.data(), 1, 4, NormGuard::kClampedNorm);
  EXPECT_FLOAT_EQ(row[0], std::sqrt(0.5f));
  EXPECT_FLOAT_EQ(row[1], -std::sqrt(0.5f));
}

TEST(NormalizeRows, BelowTheClampRowsAreOnlyScaled) {
  std::vector<float> row = {1e-13f, 0};
  NormalizeRows(row.data(), 1, 2, NormGuard::kClampedNorm);
  EXPECT_FLOAT_EQ(row[0], 0.1f);
}

}  // namespace
}  // namespace mneme::attention
