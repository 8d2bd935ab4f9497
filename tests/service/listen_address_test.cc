#include "service/listen_address.h"

#include "base/error.h"
#include "gtest/gtest.h"

namespace mneme::service {
namespace {

TEST(ListenAddress, IsWrittenAsItWasReadWithTheBoundPort) {
  for (const auto& [text, bound] : {std::pair("127.0.0.1:0", "127.0.0.1:41"),
                                    {"localhost:7788", "localhost:41"},
                                    {"[::1]:0", "[::1]:41"},
                                    {"unix:/run/m.sock", "unix:/run/m.sock"}}) {
    const auto address = ParseListenAddress(text, "listen");
    ASSERT_TRUE(address.ok()) << text;
    EXPECT_EQ(address->ToString(41), bound);
  }
}

TEST(ListenAddress, WhatIsNoAddressIsRefused) {
  for (const char* text :
       {"", "7788", ":7788", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
        "127.0.0.1:-1", "127.0.0.1:x", "::1:7788", "[127.0.0.1]:1", "[]:1",
        "unix:", "unix-abstract:x", "dns:///localhost:1", "[::1%lo]:1"}) {
    const auto address = ParseListenAddress(text, "listen");
    EXPECT_EQ(address.status().code(), absl::StatusCode::kInvalidArgument)
        << text;
    EXPECT_EQ(base::DetailOf(address.status()).field, "listen") << text;
  }
}

TEST(ListenAddress, OnlyLoopbackAndSocketsAreLocal) {
  for (const char* text : {"127.0.0.1:1", "127.9.9.9:1", "localhost:1",
                           "[::1]:1", "unix:relative.sock"}) {
    EXPECT_TRUE(
        CheckLocal(*ParseListenAddress(text, "listen"), "listen", "x").ok())
        << text;
  }
  for (const char* text :
       {"0.0.0.0:1", "[::]:1", "192.168.0.1:1", "example.com:1", "128.0.0.1:1",
        "127.0.0.1.example.com:1", "[::ffff:10.0.0.1]:1"}) {
    const absl::Status status =
        CheckLocal(*ParseListenAddress(text, "listen"), "listen", "why");
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << text;
    EXPECT_EQ(base::DetailOf(status).reason, "NOT_LOOPBACK") << text;
    EXPECT_NE(std::string(status.message()).find("why"), std::string::npos);
  }
}

}  // namespace
}  // namespace mneme::service
