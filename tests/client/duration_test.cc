#include "client/duration.h"

#include <string>

#include "base/error.h"
#include "gtest/gtest.h"

namespace mneme::client {
namespace {

TEST(Duration, IsANumberAndAUnit) {
  const struct {
    const char* text;
    int64_t seconds;
  } cases[] = {{"90s", 90},          {"15m", 900},        {"12h", 43'200},
               {"30d", 30 * 86'400}, {"2w", 14 * 86'400}, {"0s", 0}};
  for (const auto& c : cases) {
    const auto parsed = ParseDuration(c.text, "--ttl");
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->seconds(), c.seconds) << c.text;
  }
}

TEST(Duration, AnythingElseIsRefusedByName) {
  for (const char* text : {"", "d", "30", "-3d", "1.5h", "3 d", "3y", "d3",
                           "99999999999999999999d"}) {
    const auto parsed = ParseDuration(text, "--ttl");
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(base::DetailOf(parsed.status()).field, "--ttl");
  }
}

TEST(Duration, IsShownInItsLargestWholeUnit) {
  for (const char* text : {"90s", "15m", "25h", "30d", "2w"}) {
    EXPECT_EQ(FormatDuration(ParseDuration(text, "ttl").value()), text);
  }
  google::protobuf::Duration half;
  half.set_seconds(1);
  half.set_nanos(500'000'000);
  EXPECT_EQ(FormatDuration(half), "1.5s");
}

}  // namespace
}  // namespace mneme::client
