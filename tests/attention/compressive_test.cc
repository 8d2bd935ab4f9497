#include "attention/compressive.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "tests/reference/compressive.h"
#include "tests/testing/random.h"
#include "tests/testing/targets.h"

namespace mneme::attention {
namespace {

using testing::OnEveryTarget;
using testing::Random;
using testing::Seed;

struct Stream {
  Stream(Random& random, size_t count, size_t key_dim, size_t value_dim)
      : count(count),
        key_dim(key_dim),
        value_dim(value_dim),
        keys(random.Normals(count * key_dim)),
        values(random.Normals(count * value_dim)) {}

  const float* key(size_t i) const { return &keys[i * key_dim]; }
  const float* value(size_t i) const { return &values[i * value_dim]; }

  size_t count;
  size_t key_dim;
  size_t value_dim;
  std::vector<float> keys;
  std::vector<float> values;
};

using Rule = void (*)(const float*, const float*, size_t, CompressiveState&);

// The state after the segments that end at `ends`.
CompressiveState Fold(const Stream& stream, Rule rule,
                      const std::vector<size_t>& ends) {
  CompressiveState state(stream.key_dim, stream.value_dim);
  size_t first = 0;
  for (const size_t end : ends) {
    rule(stream.key(first), stream.value(first), end - first, state);
    first = end;
  }
  return state;
}

reference::Memory FoldSlowly(const Stream& stream, bool delta,
                             const std::vector<size_t>& ends) {
  reference::Memory memory(stream.key_dim, stream.value_dim);
  size_t first = 0;
  for (const size_t end : ends) {
    reference::Update(stream.key(first), stream.value(first), end - first,
                      delta, memory);
    first = end;
  }
  return memory;
}

// A component sums `tokens` products phi(k) v. phi is at most 2 in the mean and
// |v| 0.8, so magnitudes sum to less than 3 a token and roundings of random
// sign to less than 6 sqrt(tokens) of them; the worst case would be `tokens`.
double Tolerance(double tokens) {
  return 0x1p-24 * 3 * tokens * 6 * std::sqrt(tokens);
}

void ExpectSame(const CompressiveState& state, const reference::Memory& memory,
                double tolerance) {
  for (size_t i = 0; i < memory.matrix.size(); ++i) {
    ASSERT_NEAR(state.matrix[i], memory.matrix[i], tolerance) << i;
  }
  for (size_t i = 0; i < memory.normalizer.size(); ++i) {
    ASSERT_NEAR(state.normalizer[i], memory.normalizer[i], tolerance) << i;
  }
}

TEST(Absorb, AgreesWithDoubleForBothRulesAndAllShapes) {
  Random random(Seed());
  OnEveryTarget([&] {
    for (int round = 0; round < 20; ++round) {
      // Over the tile of 256 tokens now and then.
      const Stream stream(random, random.Int(1, 600), random.Int(1, 70),
                          random.Int(1, 70));
      const size_t half = stream.count / 2;
      const std::vector<size_t> ends = {half, stream.count};
      const double tolerance = Tolerance(static_cast<double>(stream.count));
      const CompressiveState linear = Fold(stream, Absorb, ends);
      ExpectSame(linear, FoldSlowly(stream, false, ends), tolerance);
      EXPECT_EQ(linear.token_count, stream.count);
      const CompressiveState delta = Fold(stream, AbsorbDelta, ends);
      ExpectSame(delta, FoldSlowly(stream, true, ends), 4 * tolerance);
      EXPECT_EQ(delta.token_count, stream.count);
    }
  });
}

TEST(Absorb, TheLinearStateDoesNotDependOnTheCut) {
  Random random(Seed());
  const Stream stream(random, 1000, 32, 24);
  const reference::Memory whole = FoldSlowly(stream, false, {1000});
  for (int round = 0; round < 10; ++round) {
    std::vector<size_t> ends = {1000};
    for (int i = 0; i < 9; ++i) ends.push_back(random.Int(0, 1000));
    std::sort(ends.begin(), ends.end());
    ExpectSame(Fold(stream, Absorb, ends), whole, Tolerance(1000));
  }
}

TEST(Absorb, StatesOfDisjointTokensAdd) {
  Random random(Seed());
  const Stream stream(random, 200, 16, 16);
  const CompressiveState whole = Fold(stream, Absorb, {200});
  CompressiveState a(16, 16), b(16, 16);
  Absorb(stream.key(0), stream.value(0), 120, a);
  Absorb(stream.key(120), stream.value(120), 80, b);
  for (size_t i = 0; i < whole.matrix.size(); ++i) {
    EXPECT_NEAR(a.matrix[i] + b.matrix[i], whole.matrix[i], Tolerance(200));
  }
}

TEST(AbsorbDelta, TheStateDependsOnTheCut) {
  Random random(Seed());
  const Stream stream(random, 200, 16, 16);
  const CompressiveState one = Fold(stream, AbsorbDelta, {200});
  const CompressiveState two = Fold(stream, AbsorbDelta, {100, 200});
  double largest = 0;
  for (size_t i = 0; i < one.matrix.size(); ++i) {
    largest =
        std::max<double>(largest, std::abs(one.matrix[i] - two.matrix[i]));
  }
  EXPECT_GT(largest, 100 * Tolerance(200));
}

TEST(AbsorbDelta, TheFirstSegmentIsAbsorbedWhole) {
  Random random(Seed());
  const Stream stream(random, 50, 16, 16);
  EXPECT_EQ(Fold(stream, AbsorbDelta, {50}).matrix,
            Fold(stream, Absorb, {50}).matrix);
}

TEST(AbsorbDelta, WhatIsKnownIsNotAddedAgain) {
  Random random(Seed());
  const Stream stream(random, 1, 16, 16);
  CompressiveState state(16, 16);
  AbsorbDelta(stream.key(0), stream.value(0), 1, state);
  const std::vector<float> once = state.matrix;
  AbsorbDelta(stream.key(0), stream.value(0), 1, state);
  for (size_t i = 0; i < once.size(); ++i) {
    EXPECT_NEAR(state.matrix[i], once[i], Tolerance(40));
  }
}

TEST(AbsorbDelta, KeysThatVanishLeaveTheStateFinite) {
  CompressiveState state(1, 64);
  const float key = -200;  // phi(-200) underflows.
  const std::vector<float> value(64, 3.0f);
  AbsorbDelta(&key, value.data(), 1, state);
  AbsorbDelta(&key, value.data(), 1, state);
  EXPECT_EQ(state.matrix, std::vector<float>(64));
  EXPECT_EQ(state.token_count, 2);
}

TEST(Absorb, NoTokensChangeNothing) {
  CompressiveState state(4, 4);
  Absorb(nullptr, nullptr, 0, state);
  AbsorbDelta(nullptr, nullptr, 0, state);
  EXPECT_EQ(state.token_count, 0);
  EXPECT_EQ(state.matrix, std::vector<float>(16));
}

TEST(Read, AgreesWithDouble) {
  Random random(Seed());
  OnEveryTarget([&] {
    for (int round = 0; round < 20; ++round) {
      const Stream stream(random, random.Int(1, 300), random.Int(1, 70),
                          random.Int(1, 70));
      const CompressiveState state = Fold(stream, Absorb, {stream.count});
      const std::vector<float> query = random.Normals(stream.key_dim);
      std::vector<float> out(stream.value_dim);
      ASSERT_TRUE(Read(state, query.data(), 1e-10f, out.data()));
      const std::vector<double> expected = reference::Recall(
          FoldSlowly(stream, false, {stream.count}), query.data());
      for (size_t i = 0; i < out.size(); ++i) {
        // A mean of values up to 5, from sums of count and key_dim terms whose
        // roundings have random signs.
        ASSERT_NEAR(out[i], expected[i], 0x1p-24 * 5 * 6 * std::sqrt(370.0));
      }
    }
  });
}

TEST(Read, AnEmptyStateGivesFalseAndZeros) {
  const CompressiveState state(3, 2);
  const float query[] = {1, 2, 3};
  std::vector<float> out = {7, 7};
  EXPECT_FALSE(Read(state, query, 1e-10f, out.data()));
  EXPECT_EQ(out, (std::vector<float>{0, 0}));
}

TEST(Read, TheFloorReplacesASmallerDenominator) {
  CompressiveState state(1, 1);
  const float key = 0, value = 3, query = 0;  // phi(0) = 1.
  Absorb(&key, &value, 1, state);
  float out;
  Read(state, &query, 0.5f, &out);
  EXPECT_EQ(out, 3.0f);
  Read(state, &query, 6.0f, &out);
  EXPECT_EQ(out, 0.5f);
}

TEST(Read, ADenominatorThatVanishedGivesZerosNotNan) {
  CompressiveState state(1, 1);
  const float key = -200, value = 3, query = 0;  // phi(-200) underflows.
  Absorb(&key, &value, 1, state);
  float out = 7;
  EXPECT_TRUE(Read(state, &query, 0, &out));
  EXPECT_EQ(out, 0.0f);
}

TEST(LinearAttention, CausalAndNotAgreeWithDouble) {
  Random random(Seed());
  for (const LinearMask mask : {LinearMask::kNone, LinearMask::kCausal}) {
    const Stream stream(random, 60, 24, 12);
    const std::vector<float> queries = random.Normals(60 * 24);
    CompressiveState state(24, 12);
    std::vector<float> out(60 * 12);
    LinearAttention(queries.data(), 60, stream.keys.data(),
                    stream.values.data(), 60, mask, 1e-6f, state, out.data());
    for (size_t i = 0; i < 60; ++i) {
      const size_t seen = mask == LinearMask::kCausal ? i + 1 : 60;
      const std::vector<double> expected = reference::Recall(
          FoldSlowly(stream, false, {seen}), &queries[i * 24], 1e-6);
      for (size_t j = 0; j < 12; ++j) {
        ASSERT_NEAR(out[i * 12 + j], expected[j],
                    0x1p-24 * 5 * 6 * std::sqrt(84.0));
      }
    }
    ExpectSame(state, FoldSlowly(stream, false, {60}), Tolerance(60));
  }
}

// Keys of one sign, so that sums only grow: the worst case for float32.
TEST(Compressive, AMillionTokensStayFinite) {
  constexpr int kDim = 16;
  constexpr int kSegment = 2048;
  Random random(Seed());
  for (const bool delta : {false, true}) {
    CompressiveState state(kDim, kDim);
    std::vector<float> keys = random.Normals(kSegment * kDim);
    for (float& x : keys) x = std::abs(x);
    std::vector<float> values = random.Normals(kSegment * kDim);
    for (float& x : values) x += 3;
    for (int done = 0; done < 1'000'000; done += kSegment) {
      (delta ? static_cast<void (*)(const float*, const float*, size_t,
                                    CompressiveState&)>(AbsorbDelta)
             : Absorb)(keys.data(), values.data(), kSegment, state);
    }
    EXPECT_GE(state.token_count, 1'000'000u);
    std::vector<float> out(kDim);
    ASSERT_TRUE(Read(state, keys.data(), 1e-10F, out.data()));
    for (const float x : state.matrix) ASSERT_TRUE(std::isfinite(x));
    // A read is a weighted mean of values around 3. The delta rule adds V - M/z
    // a segment while z grows as ever, which for one segment repeated, M' = V -
    // M/n, settles at half.
    for (const float x : out) EXPECT_NEAR(x, delta ? 1.5 : 3, 0.3);
  }
}

}  // namespace
}  // namespace mneme::attention
