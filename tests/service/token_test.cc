#include "service/token.h"

#include <set>
#include <string>

#include "base/error.h"
#include "gtest/gtest.h"

namespace mneme::service {
namespace {

TEST(Token, HasARecognisablePrefixAnd256RandomBits) {
  std::set<std::string> tokens;
  for (int i = 0; i < 100; ++i) {
    const auto token = NewToken();
    ASSERT_TRUE(token.ok()) << token.status();
    EXPECT_TRUE(token->starts_with(kTokenPrefix)) << *token;
    // 32 bytes in base64url are 43 characters.
    EXPECT_EQ(token->size(), kTokenPrefix.size() + 43);
    EXPECT_EQ(token->find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijkl"
                                       "mnopqrstuvwxyz0123456789-_"),
              std::string::npos);
    tokens.insert(*token);
  }
  EXPECT_EQ(tokens.size(), 100);
}

TEST(Token, ItsDigestIsSha256OfSaltAndToken) {
  // FIPS 180-2, appendix B.1: the digest of "abc".
  const TokenHash hash{.salt = "a", .digest = DigestOf("a", "bc")};
  EXPECT_EQ(hash.ToString(),
            "sha256:61:"
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Token, AHashIsReadAsItIsWritten) {
  const TokenHash hash{.salt = std::string("\0\xff", 2),
                       .digest = DigestOf("x", "y")};
  const auto read = TokenHash::Parse(hash.ToString());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->salt, hash.salt);
  EXPECT_TRUE(SameDigest(read->digest, hash.digest));
}

TEST(Token, DigestsDifferInAnyBit) {
  const Sha256 digest = DigestOf("salt", "token");
  for (size_t bit = 0; bit < 256; ++bit) {
    Sha256 other = digest;
    other[bit / 8] ^= 1 << (bit % 8);
    EXPECT_FALSE(SameDigest(digest, other)) << bit;
  }
  EXPECT_FALSE(SameDigest(digest, DigestOf("other", "token")));
}

TEST(Token, WhatIsNoHashIsRefusedAndNotRepeated) {
  const std::string digest(64, '0');
  for (const std::string& text :
       {std::string(), std::string("mneme_a-secret-in-the-wrong-place"),
        "sha256:" + digest, "sha256::" + digest, "md5:00:" + digest,
        "sha256:0:" + digest, "sha256:zz:" + digest,
        "sha256:00:" + digest + "0", "sha256:00:" + digest + ":",
        "sha256:" + std::string(200, '0') + ":" + digest}) {
    const auto hash = TokenHash::Parse(text);
    EXPECT_EQ(hash.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(std::string(hash.status().message()).find("secret"),
              std::string::npos);
  }
}

TEST(Token, SaltsAreRandom) {
  EXPECT_EQ(NewSalt()->size(), 16);
  EXPECT_NE(*NewSalt(), *NewSalt());
}

}  // namespace
}  // namespace mneme::service
