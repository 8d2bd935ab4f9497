#include "client/credentials.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "base/error.h"
#include "gtest/gtest.h"

namespace mneme::client {
namespace {

class CredentialsTest : public ::testing::Test {
 protected:
  ~CredentialsTest() override { std::remove(path_.c_str()); }
  absl::StatusOr<std::string> TokenIn(const std::string& bytes) const {
    std::ofstream(path_) << bytes;
    return TokenOf({.token_file = path_});
  }
  const std::string path_ =
      ::testing::TempDir() + "mneme_token_" + std::to_string(getpid());
};

TEST_F(CredentialsTest, ATokenIsAFileWithoutItsWhiteSpace) {
  EXPECT_EQ(*TokenIn("mneme_abc\n"), "mneme_abc");
  EXPECT_EQ(*TokenIn(" \r\nmneme_abc\r\n\n"), "mneme_abc");
  EXPECT_EQ(*TokenOf({.token = "given", .token_file = path_}), "given");
  EXPECT_EQ(*TokenOf({}), "");
}

TEST_F(CredentialsTest, WhatIsNoTokenIsRefusedAndNotRepeated) {
  for (const std::string& bytes :
       {std::string(), std::string("\n"), std::string("secret two"),
        std::string("secret\nauthorization: x"), std::string("secret\x7f"),
        "secret" + std::string(5000, 'x'), std::string("secret\0x", 8)}) {
    const auto token = TokenIn(bytes);
    EXPECT_EQ(token.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(std::string(token.status().message()).find("secret"),
              std::string::npos);
  }
  EXPECT_EQ(base::DetailOf(TokenOf({.token_file = "/no/such"}).status()).field,
            "token_file");
}

TEST(Credentials, ATokenIsNotSentInClearTextToOthers) {
  const Credentials plain{.token = "t"};
  for (const char* address :
       {"127.0.0.1:1", "localhost:7788", "[::1]:1", "unix:/run/mneme.sock"}) {
    EXPECT_TRUE(CheckNotOverheard(plain, address).ok()) << address;
  }
  for (const char* address :
       {"10.0.0.1:1", "example.com:7788", "[::]:1", "dns:///127.0.0.1:1",
        "localhost.example.com:1", ""}) {
    const absl::Status refused = CheckNotOverheard(plain, address);
    EXPECT_EQ(base::DetailOf(refused).reason, "PLAINTEXT_TOKEN") << address;
    EXPECT_FALSE(CheckNotOverheard({.token_file = "f"}, address).ok());
    EXPECT_TRUE(CheckNotOverheard({}, address).ok());
    EXPECT_TRUE(CheckNotOverheard({.token = "t", .tls = true}, address).ok());
    EXPECT_TRUE(
        CheckNotOverheard({.token = "t", .ca_file = "ca"}, address).ok());
    EXPECT_TRUE(
        CheckNotOverheard({.token = "t", .plaintext_token = true}, address)
            .ok());
  }
}

}  // namespace
}  // namespace mneme::client
