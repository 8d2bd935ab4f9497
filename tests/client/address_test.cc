#include "client/address.h"

#include "base/error.h"
#include "gmock/gmock.h"

namespace mneme::client {
namespace {

using ::testing::HasSubstr;

TEST(Address, IsAHostAndAPortOrWhatGrpcCallsByAScheme) {
  for (const char* good :
       {"127.0.0.1:7788", "localhost:1", "[::1]:65535", "a.b:7788",
        "unix:/run/mneme.sock", "unix:mneme.sock", "dns:localhost:7788",
        "dns:///localhost:7788", "ipv4:127.0.0.1:7788"}) {
    EXPECT_TRUE(CheckAddress(good).ok()) << good;
  }
}

TEST(Address, WithoutAPortIsRefused) {
  for (const char* bad :
       {"", "localhost", "localhost:", ":7788", "localhost:0",
        "localhost:65536", "localhost:-1", "localhost:http", "::1", "::1:7788",
        "[::1]", "localhost:7788/", "/run/mneme.sock", "ftp://a:1"}) {
    const absl::Status status = CheckAddress(bad);
    EXPECT_EQ(base::DetailOf(status).field, "server") << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr("host:port"));
  }
}

TEST(Address, OfTheWebIsToldWhatToLeaveOut) {
  EXPECT_THAT(std::string(CheckAddress("http://127.0.0.1:7788").message()),
              HasSubstr("host:port without \"http://\""));
  EXPECT_THAT(std::string(CheckAddress("https://a").message()),
              HasSubstr("without \"https://\""));
}

}  // namespace
}  // namespace mneme::client
