#include "client/output.h"

#include <sstream>

#include "base/error.h"
#include "gtest/gtest.h"
#include "mneme/v1/memory_service.pb.h"

namespace mneme::client {
namespace {

TEST(ToJson, KeepsFieldNamesAndDefaults) {
  EXPECT_EQ(ToJson(v1::ForgetResponse()),
            R"({"entries":"0","tokens":"0","operation":""})");
}

TEST(ExitCodeOf, TellsWhatToDo) {
  const auto code = [](absl::StatusCode status) {
    return ExitCodeOf(absl::Status(status, ""));
  };
  using enum absl::StatusCode;
  EXPECT_EQ(code(kOk), kExitOk);
  EXPECT_EQ(code(kInternal), kExitFailed);
  EXPECT_EQ(code(kDataLoss), kExitFailed);
  EXPECT_EQ(code(kUnimplemented), kExitFailed);
  EXPECT_EQ(code(kInvalidArgument), kExitUsage);
  EXPECT_EQ(code(kNotFound), kExitNotFound);
  EXPECT_EQ(code(kUnavailable), kExitUnavailable);
  EXPECT_EQ(code(kDeadlineExceeded), kExitUnavailable);
  EXPECT_EQ(code(kFailedPrecondition), kExitRefused);
  EXPECT_EQ(code(kAborted), kExitRefused);
  EXPECT_EQ(code(kAlreadyExists), kExitRefused);
  EXPECT_EQ(code(kPermissionDenied), kExitRefused);
}

TEST(ExitCodeOf, AQuotaThatTimeDoesNotMendIsNoReasonToTryAgain) {
  const auto code = [](const base::ErrorDetail& detail) {
    return ExitCodeOf(
        base::Error(absl::StatusCode::kResourceExhausted, "", detail));
  };
  EXPECT_EQ(code({.reason = "QUOTA_SESSIONS", .quota = "namespaces/a"}),
            kExitRefused);
  EXPECT_EQ(code({}), kExitRefused);
  EXPECT_EQ(code({.reason = "QUOTA_APPENDS",
                  .retry_after = std::chrono::milliseconds(10)}),
            kExitUnavailable);
  EXPECT_EQ(code({.reason = "DISK_FULL"}), kExitUnavailable);
}

TEST(PrintError, IsOneLineOfJsonForPrograms) {
  std::ostringstream err;
  PrintError(base::InvalidField("query", "\"\n\"", "words"), true, err);
  EXPECT_EQ(err.str(),
            "{\"error\":{\"code\":\"INVALID_ARGUMENT\",\"reason\":"
            "\"INVALID_FIELD\",\"field\":\"query\",\"message\":"
            "\"query: got \\\"\\n\\\"; expected words\",\"metadata\":"
            "{\"expected\":\"words\",\"given\":\"\\\"\\n\\\"\"}}}\n");
}

TEST(PrintError, NamesTheCodeWithoutAReasonAndSurvivesBadBytes) {
  std::ostringstream err;
  PrintError(absl::NotFoundError("caf\xFF"), true, err);
  EXPECT_EQ(err.str(),
            "{\"error\":{\"code\":\"NOT_FOUND\",\"reason\":\"NOT_FOUND\","
            "\"field\":\"\",\"message\":\"caf\uFFFD\",\"metadata\":{}}}\n");
}

TEST(PrintError, IsPlainForPeople) {
  std::ostringstream err;
  PrintError(absl::NotFoundError("no session s1"), false, err);
  EXPECT_EQ(err.str(), "mneme: no session s1\n");
}

}  // namespace
}  // namespace mneme::client
