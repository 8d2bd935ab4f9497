#include "client/sha256.h"

#include "gtest/gtest.h"

namespace mneme::client {
namespace {

TEST(Sha256, IsWhatTheStandardSays) {
  // FIPS 180-4's examples.
  EXPECT_EQ(Sha256().Hex(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Sha256 abc;
  abc.Add("a");
  abc.Add("bc");
  EXPECT_EQ(abc.Hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace mneme::client
