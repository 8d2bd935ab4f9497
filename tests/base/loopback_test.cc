#include "base/loopback.h"

#include "gtest/gtest.h"

namespace mneme::base {
namespace {

TEST(Loopback, IsThisMachineByNameAndByAddress) {
  for (const char* host : {"localhost", "127.0.0.1", "127.255.0.7", "::1"}) {
    EXPECT_TRUE(IsLoopback(host)) << host;
  }
}

TEST(Loopback, EverythingElseIsReachable) {
  for (const char* host :
       {"", "0.0.0.0", "::", "10.0.0.1", "128.0.0.1", "127.1",
        "localhost.example.com", "example.com", "[::1]", "::ffff:10.0.0.1"}) {
    EXPECT_FALSE(IsLoopback(host)) << host;
  }
}

}  // namespace
}  // namespace mneme::base
