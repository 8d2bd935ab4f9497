#include "attention/partial.h"

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "attention/softmax.h"
#include "gtest/gtest.h"
#include "tests/reference/attention.h"
#include "tests/testing/random.h"

namespace mneme::attention {
namespace {

using testing::Random;
using testing::Seed;

constexpr float kNothing = -std::numeric_limits<float>::infinity();

// Keys dealt at random to parts; some parts stay without.
struct Dealt {
  Dealt(size_t count, size_t dim, size_t parts, double scale, Random& random)
      : logits(random.Normals(count, scale)),
        values(random.Normals(count * dim)),
        outs(parts * dim),
        lses(parts) {
    SoftmaxAccumulator accumulator(parts, dim);
    for (size_t k = 0; k < count; ++k) {
      accumulator.AddRow(random.Int(0, parts - 1), &logits[k], &values[k * dim],
                         1);
    }
    accumulator.Finish(outs.data(), lses.data());
  }

  std::vector<float> logits;
  std::vector<float> values;
  std::vector<float> outs;   // [parts, dim]
  std::vector<double> lses;  // [parts]
};

TEST(Merge, OfAnySplitEqualsTheWhole) {
  Random random(Seed());
  for (int round = 0; round < 500; ++round) {
    const size_t count = random.Int(0, 64);
    const size_t dim = random.Int(1, 40);
    const size_t parts = random.Int(1, 6);
    const Dealt dealt(count, dim, parts, random.Uniform(0, 20), random);
    std::vector<Partial> partials;
    for (size_t p = 0; p < parts; ++p) {
      partials.push_back({{&dealt.outs[p * dim], dim}, dealt.lses[p]});
    }
    std::vector<float> merged(dim, 99.0f);
    const double lse = Merge(partials, merged);

    const reference::Attended whole =
        reference::Attend(dealt.logits.data(), dealt.values.data(), count, dim);
    if (count == 0) {
      ASSERT_EQ(lse, kNothing);
      ASSERT_EQ(merged, std::vector<float>(dim));
      continue;
    }
    // A part's lse, up to 100 here, is rounded to 2^-24 of itself, which its
    // share inherits; the sums add less than 100 roundings.
    const double tolerance = 0x1p-24 * (2 * 100 + 100);
    ASSERT_NEAR(lse, whole.lse, tolerance);
    for (size_t i = 0; i < dim; ++i) {
      ASSERT_NEAR(merged[i], whole.out[i], tolerance * whole.magnitude[i]);
    }
  }
}

// Any two parts may be merged first: servers, tiers and a client do so one
// after the other, in whatever order answers come.
TEST(Merge, OneByOneInAnyOrderEqualsTheWhole) {
  Random random(Seed());
  for (int round = 0; round < 500; ++round) {
    const size_t count = random.Int(1, 200);
    const size_t dim = random.Int(1, 40);
    const size_t parts = random.Int(1, 12);
    const Dealt dealt(count, dim, parts, random.Uniform(0, 4), random);
    struct Owned {
      std::vector<float> out;
      double lse;
    };
    std::vector<Owned> left;
    for (size_t p = 0; p < parts; ++p) {
      left.push_back(
          {{dealt.outs.begin() + p * dim, dealt.outs.begin() + (p + 1) * dim},
           dealt.lses[p]});
    }
    while (left.size() > 1) {
      std::swap(left[random.Int(0, left.size() - 1)], left.back());
      const Owned a = std::move(left.back());
      left.pop_back();
      Owned& b = left[random.Int(0, left.size() - 1)];
      std::vector<float> merged(dim);
      const std::vector<Partial> two = {{a.out, a.lse}, {b.out, b.lse}};
      b.lse = Merge(two, merged);
      b.out = std::move(merged);
    }
    const reference::Attended whole =
        reference::Attend(dealt.logits.data(), dealt.values.data(), count, dim);
    ASSERT_NEAR(left[0].lse, whole.lse, 1e-5);
    for (size_t i = 0; i < dim; ++i) {
      ASSERT_NEAR(left[0].out[i], whole.out[i], 1e-5 * whole.magnitude[i]);
    }
  }
}

TEST(Merge, OfNoPartsIsZerosAndMinusInfinity) {
  std::vector<float> out = {1, 2};
  EXPECT_EQ(Merge({}, out), kNothing);
  EXPECT_EQ(out, (std::vector<float>{0, 0}));
}

TEST(Merge, APartWithoutKeysIsNotRead) {
  const std::vector<float> rubbish = {std::nanf(""), std::nanf("")};
  const std::vector<float> seen = {3, 4};
  std::vector<float> out(2);
  const std::vector<Partial> parts = {
      {rubbish, kNothing}, {seen, 2.5f}, {{}, kNothing}};
  EXPECT_EQ(Merge(parts, out), 2.5f);
  EXPECT_EQ(out, seen);
}

TEST(Merge, OfEqualSharesIsTheMean) {
  const std::vector<float> a = {1, 10};
  const std::vector<float> b = {3, 30};
  std::vector<float> out(2);
  for (const float lse : {-3000.0f, 0.0f, 3000.0f}) {
    const std::vector<Partial> parts = {{a, lse}, {b, lse}};
    EXPECT_FLOAT_EQ(Merge(parts, out), lse + std::log(2.0f));
    EXPECT_EQ(out, (std::vector<float>{2, 20}));
  }
}

TEST(Merge, AShareFarBelowTheOtherVanishes) {
  const std::vector<float> a = {1};
  const std::vector<float> b = {7};
  std::vector<float> out(1);
  const std::vector<Partial> parts = {{a, 500.0f}, {b, -500.0f}};
  EXPECT_EQ(Merge(parts, out), 500.0f);
  EXPECT_EQ(out[0], 1.0f);
}

}  // namespace
}  // namespace mneme::attention
