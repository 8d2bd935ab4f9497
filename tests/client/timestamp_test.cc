#include "client/timestamp.h"

#include <google/protobuf/timestamp.pb.h>

#include "gtest/gtest.h"

namespace mneme::client {
namespace {

// 2024-05-01T12:00:00Z, from `date -u -d ... +%s`.
constexpr int64_t kNoon = 1714564800;

TEST(ParseTimestamp, ReadsWhatPeopleWrite) {
  for (const char* text : {"2024-05-01T12:00:00Z", "2024-05-01T12:00:00",
                           "2024-05-01 12:00", "2024-05-01T14:00:00+02:00",
                           "2024-05-01 12:00:00.000Z", "2024-05-01T12:00Z"}) {
    const auto time = ParseTimestamp(text);
    ASSERT_TRUE(time.ok()) << time.status();
    EXPECT_EQ(time->seconds(), kNoon) << text;
  }
  EXPECT_EQ(ParseTimestamp("2024-05-01")->seconds(), kNoon - 12 * 3600);
  EXPECT_EQ(ParseTimestamp("2024-05-01T12:00:00.25Z")->nanos(), 250'000'000);
  // Nanos count forwards, before 1970 too.
  EXPECT_EQ(ParseTimestamp("1969-12-31T23:59:59.75Z")->seconds(), -1);
  EXPECT_EQ(ParseTimestamp("1969-12-31T23:59:59.75Z")->nanos(), 750'000'000);
}

TEST(ParseTimestamp, RefusesAnythingElse) {
  for (const char* text :
       {"", "yesterday", "2024-13-01", "2024-02-30", "2024-05-01T25:00",
        "2024-05-01T12:00:00Zx", "01.05.2024", "infinite-future", "10000-01-01",
        "0000-12-31"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseTimestamp(text).status())) << text;
  }
}

TEST(FormatTimestamp, SaysTheZone) {
  google::protobuf::Timestamp time;
  time.set_seconds(kNoon);
  EXPECT_EQ(FormatTimestamp(time), "2024-05-01 12:00:00 UTC");
}

}  // namespace
}  // namespace mneme::client
