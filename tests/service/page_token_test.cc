#include "service/page_token.h"

#include "base/error.h"
#include "gtest/gtest.h"

namespace mneme::service {
namespace {

TEST(PageToken, NamesTheSessionItWasMadeOf) {
  const std::string token = EncodePageToken({.space = "n", .session = "s.1_-"});
  const auto after = DecodePageToken(token, "n");
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(*after, "s.1_-");
}

TEST(PageToken, AnEmptyOneMeansTheFirstPage) {
  EXPECT_EQ(DecodePageToken("", "n").value(), "");
}

TEST(PageToken, OfAnotherListOrOfNobodyIsRefused) {
  const std::string token = EncodePageToken({.space = "n", .session = "s"});
  for (const auto& [given, space] : {std::pair(token, "m"),
                                     {token.substr(1), "n"},
                                     {std::string("?"), "n"},
                                     {std::string("abcd"), "n"}}) {
    const auto after = DecodePageToken(given, space);
    EXPECT_EQ(after.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(base::DetailOf(after.status()).field, "page_token");
  }
}

}  // namespace
}  // namespace mneme::service
