#include "client/progress.h"

#include <sstream>

#include "gmock/gmock.h"

namespace mneme::client {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class HandClock final : public base::Clock {
 public:
  std::chrono::system_clock::time_point Now() const override { return {}; }
  std::chrono::steady_clock::time_point Ticks() const override { return now; }
  std::chrono::steady_clock::time_point now{std::chrono::hours(1)};
};

TEST(Progress, SaysNothingButASummaryWhereNobodyWatches) {
  std::ostringstream err;
  HandClock clock;
  Progress progress("book.txt", 1'000'000, false, err, clock);
  clock.now += std::chrono::seconds(2);
  progress.Update(500'000);
  EXPECT_THAT(err.str(), IsEmpty());
  progress.Update(1'000'000);
  progress.Finish();
  EXPECT_EQ(err.str(), "book.txt: 1.0 MB in 2.0 s (500.0 kB/s)\n");
}

TEST(Progress, ShowsPercentRateAndTimeLeftOnATerminal) {
  std::ostringstream err;
  HandClock clock;
  Progress progress("book.txt", 1'000'000, true, err, clock);
  clock.now += std::chrono::seconds(10);
  progress.Update(250'000);
  EXPECT_THAT(err.str(), HasSubstr(" 25%  25.0 kB/s  30 s left"));
}

TEST(Progress, ShowsTheEndOfALongName) {
  std::ostringstream err;
  HandClock clock;
  // 24 bytes from the end is inside the é.
  Progress progress("a/long/way/é" + std::string(23, 'x'), 4, true, err, clock);
  progress.Update(1);
  EXPECT_THAT(err.str(), HasSubstr("K…" + std::string(23, 'x') + " ["));
}

TEST(Progress, DrawsNoMoreThanTenTimesASecond) {
  std::ostringstream err;
  HandClock clock;
  Progress progress("book.txt", 100, true, err, clock);
  progress.Update(1);
  const std::string drawn = err.str();
  progress.Update(2);
  EXPECT_EQ(err.str(), drawn);
  clock.now += std::chrono::milliseconds(100);
  progress.Update(3);
  EXPECT_NE(err.str(), drawn);
}

TEST(Progress, TakesTheBarAwayWhenItGoes) {
  std::ostringstream err;
  HandClock clock;
  {
    Progress progress("book.txt", 100, true, err, clock);
    progress.Update(1);
  }
  EXPECT_THAT(err.str(), EndsWith("\r\033[K"));
}

TEST(Progress, OfNothingDividesByNothing) {
  std::ostringstream err;
  HandClock clock;
  Progress progress("empty", 0, true, err, clock);
  progress.Update(0);
  progress.Finish();
  EXPECT_EQ(err.str(), "empty: 0 B in 0.0 s\n");
}

}  // namespace
}  // namespace mneme::client
