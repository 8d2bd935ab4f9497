#include "base/clock.h"

#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace mneme::base {
namespace {

TEST(Clock, TimesAreStoredInMicrosecondsSince1970) {
  const std::chrono::system_clock::time_point epoch;
  EXPECT_EQ(MicrosOf(epoch), 0);
  EXPECT_EQ(MicrosOf(epoch + std::chrono::seconds(2)), 2'000'000);
  EXPECT_EQ(MicrosOf(epoch - std::chrono::microseconds(3)), -3);
}

TEST(Clock, NowIsTheClocks) {
  testing::FakeClock clock;
  const int64_t before = MicrosNow(clock);
  clock.Pass(std::chrono::milliseconds(5));
  EXPECT_EQ(MicrosNow(clock) - before, 5'000);
}

}  // namespace
}  // namespace mneme::base
