#include "attention/kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"
#include "tests/reference/attention.h"
#include "tests/reference/compressive.h"
#include "tests/testing/random.h"
#include "tests/testing/targets.h"

namespace mneme::attention {
namespace {

using testing::OnEveryTarget;
using testing::Random;
using testing::Seed;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr double kUnit = 0x1p-24;  // Relative rounding error of a float.
constexpr float kUntouched = 12345.0f;

// A float sum of n products is off by at most (n + 1) units of the sum of their
// magnitudes (to first order, in any order of summation); one more for slack.
double SumError(size_t n, double magnitude) {
  return static_cast<double>(n + 2) * kUnit * magnitude;
}

TEST(DotRows, EveryDimensionAgreesWithDouble) {
  Random random(Seed());
  OnEveryTarget([&] {
    for (size_t dim = 1; dim <= 70; ++dim) {
      const size_t queries = 1 + dim % 7;
      const size_t keys = 1 + dim % 9;
      // From the second float on, so that no row is aligned.
      const std::vector<float> q = random.Normals(1 + queries * dim);
      const std::vector<float> k = random.Normals(1 + keys * dim);
      std::vector<float> logits(queries * keys + 1, kUntouched);
      DotRows(&q[1], queries, &k[1], keys, dim, logits.data());
      for (size_t i = 0; i < queries; ++i) {
        for (size_t j = 0; j < keys; ++j) {
          const float* a = &q[1 + i * dim];
          const float* b = &k[1 + j * dim];
          ASSERT_NEAR(logits[i * keys + j], reference::Dot(a, b, dim),
                      SumError(dim, reference::DotOfMagnitudes(a, b, dim)))
              << "dim " << dim << " query " << i << " key " << j;
        }
      }
      ASSERT_EQ(logits.back(), kUntouched);
    }
  });
}

TEST(DotRows, ALogitDoesNotDependOnItsNeighbours) {
  Random random(Seed());
  OnEveryTarget([&] {
    for (const size_t dim : {64, 100, 128}) {
      const std::vector<float> q = random.Normals(7 * dim);
      const std::vector<float> k = random.Normals(11 * dim);
      std::vector<float> together(7 * 11);
      DotRows(q.data(), 7, k.data(), 11, dim, together.data());
      for (size_t i = 0; i < 7; ++i) {
        for (size_t j = 0; j < 11; ++j) {
          float alone;
          DotRows(&q[i * dim], 1, &k[j * dim], 1, dim, &alone);
          ASSERT_EQ(alone, together[i * 11 + j]);
        }
      }
    }
  });
}

TEST(DotRows, NothingByNothingWritesNothing) {
  float logit = kUntouched;
  DotRows(nullptr, 0, nullptr, 0, 8, &logit);
  EXPECT_EQ(logit, kUntouched);
}

TEST(Maximum, IsFoundAtEveryPlaceOfEveryLength) {
  OnEveryTarget([] {
    EXPECT_EQ(Maximum(nullptr, 0), -kInfinity);
    for (size_t count = 1; count <= 70; ++count) {
      for (size_t place = 0; place < count; ++place) {
        std::vector<float> numbers(count + 1, -5.0f);
        numbers[place] = -3.0f;
        numbers[count] = 9.0f;
        ASSERT_EQ(Maximum(numbers.data(), count), -3.0f);
      }
    }
  });
}

TEST(Exponentials, EveryLengthAgreesWithDouble) {
  Random random(Seed());
  OnEveryTarget([&] {
    for (size_t count = 0; count <= 70; ++count) {
      std::vector<float> logits = random.Normals(1 + count, 10);
      if (count > 3) logits[3] = -kInfinity;
      const float shift = 7.25f;
      std::vector<float> weights(1 + count + 1, kUntouched);
      const float sum = Exponentials(&logits[1], count, shift, &weights[1]);
      double expected_sum = 0;
      for (size_t i = 1; i <= count; ++i) {
        // The difference as float rounds it; then one unit in the last place
        // (2 units of rounding) by the vector library's promise, twice that
        // for slack.
        const double expected = std::exp(double{logits[i] - shift});
        ASSERT_NEAR(weights[i], expected, 4 * kUnit * expected) << logits[i];
        expected_sum += weights[i];
      }
      ASSERT_NEAR(sum, expected_sum, SumError(count, expected_sum));
      ASSERT_EQ(weights[1 + count], kUntouched);
    }
  });
}

TEST(Exponentials, MaskedAndVanishingLogitsWeighNothing) {
  OnEveryTarget([] {
    const std::vector<float> logits = {-kInfinity, -1e30f, -200.0f, 0.0f};
    std::vector<float> weights(4);
    EXPECT_EQ(Exponentials(logits.data(), 4, 0, weights.data()), 1.0f);
    EXPECT_EQ(weights, (std::vector<float>{0, 0, 0, 1}));
  });
}

TEST(EluPlusOne, StaysExactWhereExpm1WouldCancel) {
  Random random(Seed());
  OnEveryTarget([&] {
    std::vector<float> in = {-80, -20,   -17,  -16, -1e-6f, -0.0f,
                             0,   1e-6f, 0.5f, 3,   200,    3e38f};
    for (const float x : random.Normals(57, 5)) in.push_back(x);
    for (size_t count = 0; count <= in.size(); ++count) {
      std::vector<float> out(count + 1, kUntouched);
      EluPlusOne(in.data(), count, out.data());
      for (size_t i = 0; i < count; ++i) {
        const double expected = reference::Phi(in[i]);
        ASSERT_NEAR(out[i], expected, 4 * kUnit * expected) << in[i];
      }
      ASSERT_EQ(out[count], kUntouched);
    }
  });
}

TEST(AddWeightedRows, EveryDimensionAgreesWithDouble) {
  Random random(Seed());
  OnEveryTarget([&] {
    for (size_t dim = 1; dim <= 150; ++dim) {
      const size_t count = dim % 40;
      const std::vector<float> weights = random.Normals(count);
      const std::vector<float> rows = random.Normals(1 + count * dim);
      const std::vector<float> before = random.Normals(dim);
      std::vector<float> out = before;
      out.push_back(kUntouched);
      AddWeightedRows(weights.data(), &rows[1], count, dim, out.data());
      for (size_t i = 0; i < dim; ++i) {
        double expected = before[i];
        double magnitude = std::abs(before[i]);
        for (size_t r = 0; r < count; ++r) {
          const double term = double{weights[r]} * rows[1 + r * dim + i];
          expected += term;
          magnitude += std::abs(term);
        }
        ASSERT_NEAR(out[i], expected, SumError(count + 1, magnitude));
      }
      ASSERT_EQ(out[dim], kUntouched);
    }
  });
}

TEST(AddWeightedRows, ARowOfWeightZeroIsNotRead) {
  OnEveryTarget([] {
    for (const size_t dim : {3, 16, 130}) {
      std::vector<float> rows(2 * dim, 2.0f);
      std::fill_n(rows.begin(), dim, std::nanf(""));
      std::vector<float> out(dim, 1.0f);
      const float weights[] = {0.0f, 3.0f};
      AddWeightedRows(weights, rows.data(), 2, dim, out.data());
      EXPECT_EQ(out, std::vector<float>(dim, 7.0f));
    }
  });
}

TEST(AddWeightedRowsEach, HasTheBitsOfOneOutputAtATime) {
  Random random(Seed());
  OnEveryTarget([&] {
    for (const size_t dim : {1, 15, 16, 31, 64, 100, 128}) {
      for (size_t outputs = 1; outputs <= 9; ++outputs) {
        const size_t count = 37;
        // Weights by output, then by row.
        const std::vector<float> weights = random.Normals(outputs * count);
        std::vector<float> transposed(weights.size());
        for (size_t o = 0; o < outputs; ++o) {
          for (size_t r = 0; r < count; ++r) {
            transposed[r * outputs + o] = weights[o * count + r];
          }
        }
        const std::vector<float> rows = random.Normals(count * dim);
        std::vector<float> one_by_one = random.Normals(outputs * dim);
        std::vector<float> each = one_by_one;
        std::vector<float> by_row = one_by_one;
        for (size_t o = 0; o < outputs; ++o) {
          AddWeightedRows(&weights[o * count], rows.data(), count, dim,
                          &one_by_one[o * dim]);
        }
        AddWeightedRowsEach(weights.data(), count, 1, rows.data(), count, dim,
                            each.data(), outputs);
        AddWeightedRowsEach(transposed.data(), 1, outputs, rows.data(), count,
                            dim, by_row.data(), outputs);
        ASSERT_EQ(each, one_by_one);
        ASSERT_EQ(by_row, one_by_one);
      }
    }
  });
}

TEST(AddToDouble, KeepsWhatAFloatWouldLose) {
  OnEveryTarget([] {
    for (size_t count = 0; count <= 40; ++count) {
      std::vector<float> in(count);
      std::iota(in.begin(), in.end(), 1.0f);
      std::vector<double> out(count + 1, 1e15);
      AddToDouble(in.data(), count, out.data());
      for (size_t i = 0; i < count; ++i) ASSERT_EQ(out[i], 1e15 + 1.0 + i);
      ASSERT_EQ(out[count], 1e15);
    }
  });
}

}  // namespace
}  // namespace mneme::attention
