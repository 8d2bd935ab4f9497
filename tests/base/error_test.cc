#include "base/error.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "absl/status/statusor.h"
#include "base/status_macros.h"

namespace mneme::base {
namespace {

TEST(Error, DetailTravelsWithTheStatus) {
  const absl::Status status =
      Error(absl::StatusCode::kResourceExhausted, "the queue is full",
            {.reason = "QUEUE_FULL",
             .field = "",
             .metadata = {{"queued", "64"}, {"empty", ""}},
             .retry_after = std::chrono::milliseconds(250),
             .quota = "namespaces/notes"});
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_EQ(status.message(), "the queue is full");
  const ErrorDetail detail = DetailOf(status);
  EXPECT_EQ(detail.reason, "QUEUE_FULL");
  EXPECT_EQ(detail.field, "");
  EXPECT_EQ(detail.metadata.at("queued"), "64");
  EXPECT_EQ(detail.quota, "namespaces/notes");
  EXPECT_EQ(detail.metadata.at("empty"), "");
  EXPECT_EQ(detail.retry_after, std::chrono::milliseconds(250));
}

TEST(Error, InvalidFieldSaysWhatWasGivenAndExpected) {
  const absl::Status status = InvalidField("limit", "0", "1 to 1000");
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(status.message(), "limit: got 0; expected 1 to 1000");
  EXPECT_EQ(DetailOf(status).field, "limit");
  EXPECT_EQ(DetailOf(status).metadata.at("given"), "0");
  EXPECT_EQ(DetailOf(status).metadata.at("expected"), "1 to 1000");
  EXPECT_FALSE(DetailOf(status).retry_after.has_value());
}

TEST(Error, AStatusOfOthersHasNoDetail) {
  EXPECT_EQ(DetailOf(absl::InternalError("?")).reason, "");
  EXPECT_EQ(DetailOf(absl::OkStatus()).reason, "");
}

TEST(Error, AnnotateKeepsCodeAndDetail) {
  const absl::Status status =
      Annotate(InvalidField("k", "-1", "1 or more"), "session a");
  EXPECT_EQ(status.message(), "session a: k: got -1; expected 1 or more");
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(DetailOf(status).field, "k");
}

TEST(Error, FactsAreAddedAndNoneIsOverwritten) {
  const absl::Status status =
      WithFacts(Error(absl::StatusCode::kDataLoss, "gone",
                      {.reason = "CORRUPT", .metadata = {{"session", "a"}}}),
                {{"session", "b"}, {"seq_begin", "7"}});
  EXPECT_EQ(status.message(), "gone");
  EXPECT_EQ(DetailOf(status).reason, "CORRUPT");
  EXPECT_EQ(DetailOf(status).metadata.at("session"), "a");
  EXPECT_EQ(DetailOf(status).metadata.at("seq_begin"), "7");
}

TEST(Quoted, ShowsHostileTextHarmlessly) {
  EXPECT_EQ(Quoted("plain é"), "\"plain é\"");
  EXPECT_EQ(Quoted("a\nb"), "\"a\\nb\"");
  EXPECT_EQ(Quoted("\xff"), "\"\\xff\"");
  EXPECT_EQ(Quoted(std::string(200, 'x')),
            "\"" + std::string(100, 'x') + "\"...");
  // 99 bytes and a character of two: it is not cut in half.
  EXPECT_EQ(Quoted(std::string(99, 'x') + "éé"),
            "\"" + std::string(99, 'x') + "\"...");
}

absl::StatusOr<int> Half(int number) {
  if (number % 2 != 0) return absl::InvalidArgumentError("odd");
  return number / 2;
}

absl::StatusOr<int> Quarter(int number) {
  ASSIGN_OR_RETURN(const int half, Half(number));
  RETURN_IF_ERROR(Half(half).status());
  return Half(half);
}

TEST(StatusMacros, ReturnTheFirstErrorAndOnlyErrors) {
  EXPECT_EQ(Quarter(12).value(), 3);
  EXPECT_EQ(Quarter(3).status().message(), "odd");
  EXPECT_EQ(Quarter(6).status().message(), "odd");
}

}  // namespace
}  // namespace mneme::base
