#include "service/access.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace mneme::service {
namespace {

using ::testing::HasSubstr;

class AccessTest : public ::testing::Test {
 protected:
  ~AccessTest() override { std::remove(path_.c_str()); }

  static std::string FileFor(const std::string& token) {
    return AccessTable(
               {{.name = "alice",
                 .token =
                     TokenHash{.salt = "s", .digest = DigestOf("s", token)},
                 .scopes = {{.space = "notes", .scope = Scope::kAppend}}}})
        .ToJson();
  }
  void Write(const std::string& bytes) const { std::ofstream(path_) << bytes; }
  void Open() {
    auto access = Access::Open(path_, &clock_);
    ASSERT_TRUE(access.ok()) << access.status();
    access_ = *std::move(access);
  }
  bool Knows(const std::string& token) {
    return access_->Authenticate({.has_token = true, .token = token}).ok();
  }
  void Wait() { clock_.Pass(Access::kReread); }

  const std::string path_ = ::testing::TempDir() + "mneme_access_" +
                            std::to_string(getpid()) + ".json";
  testing::FakeClock clock_;
  std::unique_ptr<Access> access_;
};

TEST_F(AccessTest, AChangedFileCountsWithinASecond) {
  Write(FileFor("old"));
  Open();
  EXPECT_TRUE(Knows("old"));
  Write(FileFor("new"));
  EXPECT_TRUE(Knows("old"));
  Wait();
  EXPECT_FALSE(Knows("old"));
  EXPECT_TRUE(Knows("new"));
}

TEST_F(AccessTest, ABrokenFileChangesNothingAndIsLoggedOnce) {
  Write(FileFor("t"));
  Open();
  for (const std::string& broken :
       {std::string(), std::string("{"), FileFor("x").substr(0, 40)}) {
    Write(broken);
    Wait();
    ::testing::internal::CaptureStderr();
    EXPECT_TRUE(Knows("t"));
    EXPECT_FALSE(Knows("x"));
    Wait();
    EXPECT_TRUE(Knows("t"));
    const std::string log = ::testing::internal::GetCapturedStderr();
    EXPECT_THAT(log, HasSubstr("\"level\":\"error\""));
    EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
  }
  Write(FileFor("t"));
  Wait();
  EXPECT_TRUE(Knows("t"));
}

TEST_F(AccessTest, AFileThatVanishesChangesNothingAndIsLoggedOnce) {
  Write(FileFor("t"));
  Open();
  std::remove(path_.c_str());
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 3; ++i) {
    Wait();
    EXPECT_TRUE(Knows("t"));
  }
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
  Write(FileFor("u"));
  Wait();
  EXPECT_TRUE(Knows("u"));
}

TEST_F(AccessTest, AServerDoesNotStartWithoutAGoodFile) {
  EXPECT_EQ(base::DetailOf(Access::Open(path_, &clock_).status()).reason,
            "SETTINGS_UNREADABLE");
  Write("nonsense");
  EXPECT_EQ(Access::Open(path_, &clock_).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(base::DetailOf(Access::Open(::testing::TempDir(), &clock_).status())
                .reason,
            "SETTINGS_UNREADABLE");
}

TEST_F(AccessTest, ARefusalNamesScopeAndNamespace) {
  const Caller alice{.name = "alice",
                     .grants = {{.space = "notes", .scope = Scope::kRead}}};
  EXPECT_TRUE(CheckPermitted(alice, Scope::kRead, "notes").ok());
  const absl::Status refused = CheckPermitted(alice, Scope::kAppend, "notes");
  EXPECT_EQ(refused.code(), absl::StatusCode::kPermissionDenied);
  const base::ErrorDetail detail = base::DetailOf(refused);
  EXPECT_EQ(detail.reason, "SCOPE_MISSING");
  EXPECT_EQ(detail.metadata.at("scope"), "append");
  EXPECT_EQ(detail.metadata.at("namespace"), "notes");
  EXPECT_EQ(CheckPermitted(alice, Scope::kAdmin, kEverywhere).code(),
            absl::StatusCode::kPermissionDenied);
  // However long the name is that was given.
  const absl::Status longer =
      CheckPermitted(alice, Scope::kRead, std::string(5000, 'n'));
  EXPECT_LT(longer.message().size(), 300);
}

}  // namespace
}  // namespace mneme::service
