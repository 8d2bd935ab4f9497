#include "attention/softmax.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/reference/attention.h"
#include "tests/testing/random.h"
#include "tests/testing/targets.h"

namespace mneme::attention {
namespace {

using testing::OnEveryTarget;
using testing::Random;
using testing::Seed;

constexpr float kMasked = -std::numeric_limits<float>::infinity();

struct Result {
  std::vector<float> out;
  std::vector<float> lse;
};

Result Finish(const SoftmaxAccumulator& accumulator, size_t rows, size_t dim) {
  Result result{std::vector<float>(rows * dim), std::vector<float>(rows)};
  accumulator.Finish(result.out.data(), result.lse.data());
  return result;
}

// A tile of 128 keys is summed in float: at most 129 roundings of 2^-24 of the
// mean magnitude, in the sum and in the total, make 1.6e-5 if all had one sign;
// roundings of random sign make their square root, and 1e-5 is ten times that.
// A logit's difference to the maximum is rounded too: 2^-24 of its size.
void ExpectNear(const Result& result, size_t row,
                const reference::Attended& expected, double logit_size) {
  const double tolerance = 1e-5 + 0x1p-24 * logit_size;
  const size_t dim = expected.out.size();
  for (size_t i = 0; i < dim; ++i) {
    ASSERT_NEAR(result.out[row * dim + i], expected.out[i],
                tolerance * expected.magnitude[i])
        << "row " << row;
  }
  ASSERT_NEAR(result.lse[row], expected.lse,
              tolerance + 0x1p-23 * std::abs(expected.lse));
}

TEST(SoftmaxAccumulator, AgreesWithDoubleAtEveryNumberOfKeys) {
  Random random(Seed());
  OnEveryTarget([&] {
    for (size_t count = 1; count <= 300; count += 1 + count / 20) {
      const size_t rows = 1 + count % 6;
      const size_t dim = 1 + count % 50;
      const std::vector<float> logits = random.Normals(rows * count, 3);
      const std::vector<float> values = random.Normals(count * dim);
      SoftmaxAccumulator accumulator(rows, dim);
      accumulator.Add(logits.data(), values.data(), count);
      const Result result = Finish(accumulator, rows, dim);
      for (size_t r = 0; r < rows; ++r) {
        ExpectNear(
            result, r,
            reference::Attend(&logits[r * count], values.data(), count, dim),
            30);
      }
    }
  });
}

TEST(SoftmaxAccumulator, StaysExactOverSixtyFourThousandKeys) {
  Random random(Seed());
  const size_t count = 65536;
  const size_t dim = 16;
  // A flat row, where all keys count; a usual one; one whose maximum grows
  // until the end.
  std::vector<float> logits = random.Normals(3 * count);
  for (size_t k = 0; k < count; ++k) {
    logits[k] *= 0.01f;
    logits[count + k] *= 3;
    logits[2 * count + k] += static_cast<float>(k) / 1024;
  }
  std::vector<float> values = random.Normals(count * dim);
  for (float& v : values) v += 1;  // A mean that errors of one sign would move.
  SoftmaxAccumulator accumulator(3, dim);
  accumulator.Add(logits.data(), values.data(), count);
  const Result result = Finish(accumulator, 3, dim);
  for (size_t r = 0; r < 3; ++r) {
    ExpectNear(result, r,
               reference::Attend(&logits[r * count], values.data(), count, dim),
               64);
  }
}

TEST(SoftmaxAccumulator, MaskedKeysCountForNothing) {
  Random random(Seed());
  OnEveryTarget([&] {
    const size_t rows = 5, count = 300, dim = 20;
    std::vector<float> logits = random.Normals(rows * count);
    std::vector<float> values = random.Normals(count * dim);
    for (size_t r = 0; r < rows; ++r) {
      for (size_t k = 0; k < count; ++k) {
        if (k > 60 * r) logits[r * count + k] = kMasked;  // Causal.
      }
    }
    SoftmaxAccumulator accumulator(rows, dim);
    accumulator.Add(logits.data(), values.data(), count);
    const Result result = Finish(accumulator, rows, dim);
    for (size_t r = 0; r < rows; ++r) {
      ExpectNear(
          result, r,
          reference::Attend(&logits[r * count], values.data(), count, dim), 10);
    }
  });
}

TEST(SoftmaxAccumulator, ARowThatSawNothingIsZeroAndMinusInfinity) {
  const std::vector<float> logits = {kMasked, kMasked, 1, kMasked};
  const std::vector<float> values = {5, 6};
  SoftmaxAccumulator accumulator(3, 1);
  accumulator.Add(logits.data(), values.data(), 0);
  accumulator.AddRow(0, &logits[0], values.data(), 2);
  accumulator.AddRow(1, &logits[2], values.data(), 2);
  const Result result = Finish(accumulator, 3, 1);
  EXPECT_EQ(result.out, (std::vector<float>{0, 5, 0}));
  EXPECT_EQ(result.lse, (std::vector<float>{kMasked, 1, kMasked}));
}

TEST(SoftmaxAccumulator, ARowAloneHasTheBitsOfARowAmongOthers) {
  Random random(Seed());
  OnEveryTarget([&] {
    const size_t rows = 6, count = 333, dim = 72;
    const std::vector<float> logits = random.Normals(rows * count, 4);
    const std::vector<float> values = random.Normals(count * dim);
    SoftmaxAccumulator together(rows, dim);
    SoftmaxAccumulator alone(rows, dim);
    together.Add(logits.data(), values.data(), count);
    for (size_t r = 0; r < rows; ++r) {
      alone.AddRow(r, &logits[r * count], values.data(), count);
    }
    EXPECT_EQ(Finish(together, rows, dim).out, Finish(alone, rows, dim).out);
    EXPECT_EQ(Finish(together, rows, dim).lse, Finish(alone, rows, dim).lse);
  });
}

TEST(SoftmaxAccumulator, TheCutIntoCallsChangesNothing) {
  Random random(Seed());
  for (int round = 0; round < 50; ++round) {
    const size_t count = random.Int(1, 700), dim = 8;
    std::vector<float> logits = random.Normals(count, 5);
    const std::vector<float> values = random.Normals(count * dim);
    SoftmaxAccumulator accumulator(1, dim);
    for (size_t k = 0; k < count;) {
      const size_t keys = random.Int(1, count - k);
      accumulator.Add(&logits[k], &values[k * dim], keys);
      k += keys;
    }
    ExpectNear(Finish(accumulator, 1, dim), 0,
               reference::Attend(logits.data(), values.data(), count, dim), 50);
  }
}

TEST(SoftmaxAccumulator, LogitsOfThousandsNeitherOverflowNorVanish) {
  for (const float offset : {-9000.0f, 9000.0f}) {
    const std::vector<float> logits = {offset, offset - 1, offset - 500};
    const std::vector<float> values = {1, 2, 3};
    SoftmaxAccumulator accumulator(1, 1);
    // Smallest first, so that each call rescales what was.
    for (int k = 2; k >= 0; --k) accumulator.Add(&logits[k], &values[k], 1);
    ExpectNear(Finish(accumulator, 1, 1), 0,
               reference::Attend(logits.data(), values.data(), 3, 1), 500);
  }
}

}  // namespace
}  // namespace mneme::attention
