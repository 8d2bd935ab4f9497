#include "attention/long_rope.h"

#include <cmath>
#include <vector>

#include "attention/rope.h"
#include "gtest/gtest.h"
#include "tests/attention/frequencies_near.h"

namespace mneme::attention {
namespace {

LongRopeConfig LongRope() {
  return {.short_factors = {1, 1.5},
          .long_factors = {4, 8},
          .original_length = 4096,
          .max_position = 131072};
}

TEST(LongRopeFrequencies, TakeTheLongListBeyondTheOriginalLength) {
  for (const int64_t length : {1, 4096}) {
    ExpectNear(LongRopeFrequencies(10000, 4, LongRope(), length),
               {1, 0.01 / 1.5});
  }
  for (const int64_t length : {4097, 1 << 30}) {
    ExpectNear(LongRopeFrequencies(10000, 4, LongRope(), length),
               {0.25, 0.01 / 8});
  }
}

TEST(LongRopeAttentionFactor, GrowsWithTheExtension) {
  LongRopeConfig config = LongRope();
  // ln(2^5) / ln(2^12).
  EXPECT_DOUBLE_EQ(LongRopeAttentionFactor(config), std::sqrt(1 + 5.0 / 12));
  config.max_position = 4096;
  EXPECT_EQ(LongRopeAttentionFactor(config), 1);
  config.attention_factor = 1.25;
  EXPECT_EQ(LongRopeAttentionFactor(config), 1.25);
}

}  // namespace
}  // namespace mneme::attention
