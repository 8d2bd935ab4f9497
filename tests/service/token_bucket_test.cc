#include "service/token_bucket.h"

#include "gtest/gtest.h"

namespace mneme::service {
namespace {

using std::chrono::milliseconds;

TEST(TokenBucket, ABurstPassesThenOneForEachThatGrows) {
  const TokenBucket::TimePoint begin{};
  TokenBucket bucket(/*per_second=*/10, /*burst=*/3, begin);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(bucket.Take(begin));
  EXPECT_EQ(bucket.Take(begin), milliseconds(100));
  EXPECT_EQ(bucket.Take(begin + milliseconds(60)), milliseconds(40));
  EXPECT_FALSE(bucket.Take(begin + milliseconds(100)));
  EXPECT_TRUE(bucket.Take(begin + milliseconds(100)));
}

TEST(TokenBucket, WhoWaitsAsToldIsNotRefusedAgain) {
  for (const double rate : {0.37, 3.0, 7.0, 999.0}) {
    TokenBucket::TimePoint now{};
    TokenBucket bucket(rate, 1, now);
    EXPECT_FALSE(bucket.Take(now));
    for (int i = 0; i < 100; ++i) {
      const auto wait = bucket.Take(now);
      ASSERT_TRUE(wait) << rate;
      now += *wait;
      EXPECT_FALSE(bucket.Take(now)) << rate << " after " << i;
    }
  }
}

TEST(TokenBucket, APauseGivesNoMoreThanTheBurst) {
  const TokenBucket::TimePoint begin{};
  TokenBucket bucket(1, 2, begin);
  const auto later = begin + std::chrono::hours(1);
  EXPECT_FALSE(bucket.Take(later));
  EXPECT_FALSE(bucket.Take(later));
  EXPECT_TRUE(bucket.Take(later));
}

}  // namespace
}  // namespace mneme::service
