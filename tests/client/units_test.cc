#include "client/units.h"

#include "gtest/gtest.h"

namespace mneme::client {
namespace {

TEST(HumanBytes, ChoosesTheUnitAfterRounding) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(999), "999 B");
  EXPECT_EQ(HumanBytes(999.7), "1.0 kB");
  EXPECT_EQ(HumanBytes(2'600'000), "2.6 MB");
  EXPECT_EQ(HumanBytes(999'960), "1.0 MB");
  EXPECT_EQ(HumanBytes(5e15), "5000.0 TB");
}

TEST(HumanSeconds, GrowsFromSecondsToHours) {
  EXPECT_EQ(HumanSeconds(0.44), "0.4 s");
  EXPECT_EQ(HumanSeconds(9.96), "10 s");
  EXPECT_EQ(HumanSeconds(59.4), "59 s");
  EXPECT_EQ(HumanSeconds(59.6), "1:00");
  EXPECT_EQ(HumanSeconds(3723), "1:02:03");
}

}  // namespace
}  // namespace mneme::client
