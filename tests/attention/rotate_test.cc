#include "attention/rotate.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/random.h"
#include "tests/testing/targets.h"

namespace mneme::attention {
namespace {

using testing::OnEveryTarget;
using testing::Random;
using testing::Seed;

constexpr float kUntouched = 12345.0f;

TEST(Rotate, EveryNumberOfPairsInBothLayoutsAgreesWithDouble) {
  Random random(Seed());
  OnEveryTarget([&] {
    for (size_t pairs = 0; pairs <= 70; ++pairs) {
      std::vector<float> cos(pairs), sin(pairs);
      for (size_t j = 0; j < pairs; ++j) {
        const double angle = random.Uniform(-4, 4);
        cos[j] = static_cast<float>(std::cos(angle));
        sin[j] = static_cast<float>(std::sin(angle));
      }
      const std::vector<float> before = random.Normals(2 * pairs);
      for (const bool interleaved : {false, true}) {
        std::vector<float> row = before;
        row.push_back(kUntouched);
        (interleaved ? RotateInterleaved : RotateHalfSplit)(
            row.data(), cos.data(), sin.data(), pairs);
        for (size_t j = 0; j < pairs; ++j) {
          const size_t ix = interleaved ? 2 * j : j;
          const size_t iy = interleaved ? 2 * j + 1 : j + pairs;
          const double x = before[ix], y = before[iy];
          // Two products and a sum, a rounding each.
          const double tolerance = 3 * 0x1p-24 * (std::abs(x) + std::abs(y));
          ASSERT_NEAR(row[ix], x * cos[j] - y * sin[j], tolerance);
          ASSERT_NEAR(row[iy], x * sin[j] + y * cos[j], tolerance);
        }
        ASSERT_EQ(row.back(), kUntouched);
      }
    }
  });
}

TEST(AddAngles, IsTheAdditionTheorem) {
  Random random(Seed());
  OnEveryTarget([&] {
    for (size_t count = 0; count <= 70; ++count) {
      std::vector<double> ca, sa, cb, sb;
      std::vector<double> sums;
      for (size_t j = 0; j < count; ++j) {
        const double a = random.Uniform(-4, 4), b = random.Uniform(-4, 4);
        ca.push_back(std::cos(a));
        sa.push_back(std::sin(a));
        cb.push_back(std::cos(b));
        sb.push_back(std::sin(b));
        sums.push_back(a + b);
      }
      std::vector<float> cos(count + 1, kUntouched), sin(count + 1, kUntouched);
      AddAngles(ca.data(), sa.data(), cb.data(), sb.data(), count, cos.data(),
                sin.data());
      for (size_t j = 0; j < count; ++j) {
        // The rounding to float of a number up to 1.
        ASSERT_NEAR(cos[j], std::cos(sums[j]), 0x1p-24);
        ASSERT_NEAR(sin[j], std::sin(sums[j]), 0x1p-24);
      }
      ASSERT_EQ(cos[count], kUntouched);
      ASSERT_EQ(sin[count], kUntouched);
    }
  });
}

}  // namespace
}  // namespace mneme::attention
