#include "attention/softcap.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/random.h"
#include "tests/testing/targets.h"

namespace mneme::attention {
namespace {

using testing::OnEveryTarget;
using testing::Random;
using testing::Seed;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(SoftCap, EveryLengthAgreesWithDouble) {
  Random random(Seed());
  OnEveryTarget([&] {
    for (size_t count = 0; count <= 70; ++count) {
      const float cap = static_cast<float>(random.Uniform(5, 60));
      const std::vector<float> before = random.Normals(1 + count + 1, 40);
      std::vector<float> after = before;
      SoftCap(cap, &after[1], count);
      for (size_t i = 1; i <= count; ++i) {
        const double expected = cap * std::tanh(double{before[i]} / cap);
        // A quotient and a product round; the vector library's tanh promises 4
        // units in the last place, 8 of rounding.
        ASSERT_NEAR(after[i], expected, 10 * 0x1p-24 * std::abs(expected))
            << before[i] << " by " << cap;
      }
      ASSERT_EQ(after.front(), before.front());
      ASSERT_EQ(after.back(), before.back());
    }
  });
}

TEST(SoftCap, AMaskedLogitStaysMasked) {
  OnEveryTarget([] {
    std::vector<float> logits(37, -kInfinity);
    logits[5] = 1e30f;
    logits[36] = -1e30f;
    SoftCap(30, logits.data(), logits.size());
    for (size_t i = 0; i < 36; ++i) {
      EXPECT_EQ(logits[i], i == 5 ? 30.0f : -kInfinity);
    }
    EXPECT_EQ(logits[36], -30.0f);
  });
}

TEST(SoftCap, ALogitDoesNotDependOnItsNeighbours) {
  Random random(Seed());
  OnEveryTarget([&] {
    std::vector<float> together = random.Normals(50, 20);
    std::vector<float> apart = together;
    SoftCap(30, together.data(), together.size());
    for (float& logit : apart) SoftCap(30, &logit, 1);
    EXPECT_EQ(together, apart);
  });
}

}  // namespace
}  // namespace mneme::attention
