#include "base/trace_parent.h"

#include <string>

#include "gtest/gtest.h"

namespace mneme::base {
namespace {

const std::string kSpan =
    "-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceParent, IsWhatTheSpecificationAllows) {
  EXPECT_TRUE(IsTraceParent("00" + kSpan));
  EXPECT_FALSE(IsTraceParent("00" + kSpan + "-more"));
  EXPECT_TRUE(IsTraceParent("cc" + kSpan + "-more"));
  EXPECT_FALSE(IsTraceParent("cc" + kSpan + ".more"));
  EXPECT_FALSE(IsTraceParent("cc" + kSpan + "-more\n"));
  EXPECT_FALSE(IsTraceParent("ff" + kSpan));
  EXPECT_FALSE(IsTraceParent("00-" + std::string(32, '0') + kSpan.substr(33)));
  EXPECT_FALSE(
      IsTraceParent("00" + kSpan.substr(0, 34) + std::string(16, '0') + "-01"));
}

TEST(TraceParent, IsNothingShortOrWithAnotherByte) {
  const std::string good = "00" + kSpan;
  for (size_t at = 0; at < good.size(); ++at) {
    EXPECT_FALSE(IsTraceParent(good.substr(0, at))) << at;
    std::string bad = good;
    bad[at] = 'X';
    EXPECT_FALSE(IsTraceParent(bad)) << at;
  }
}

}  // namespace
}  // namespace mneme::base
