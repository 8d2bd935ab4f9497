#include "service/watched_file.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace mneme::service {
namespace {

using ::testing::HasSubstr;

class WatchedFileTest : public ::testing::Test {
 protected:
  WatchedFileTest()
      : path_(std::filesystem::temp_directory_path() /
              ("mneme-watched-" + std::to_string(getpid()))) {}
  ~WatchedFileTest() override { std::filesystem::remove(path_); }

  // As people should: all of it at once.
  void Write(const std::string& content) {
    const std::string partial = path_ + ".new";
    std::ofstream(partial) << content;
    std::filesystem::rename(partial, path_);
  }

  const std::string path_;
  std::string taken_;
  int takes_ = 0;
  testing::FakeClock clock_;
  WatchedFile file_{path_, &clock_, [this](std::string_view content) {
                      ++takes_;
                      if (content == "bad") {
                        return absl::InvalidArgumentError("it is bad");
                      }
                      taken_ = content;
                      return absl::OkStatus();
                    }};
};

TEST_F(WatchedFileTest, IsReadAgainWhenItChangedAndTimeHasPassed) {
  Write("one");
  ASSERT_TRUE(file_.Load().ok());
  EXPECT_EQ(taken_, "one");
  Write("two!");
  file_.Poll();
  EXPECT_EQ(taken_, "one");
  clock_.Pass(WatchedFile::kInterval);
  file_.Poll();
  EXPECT_EQ(taken_, "two!");
  clock_.Pass(WatchedFile::kInterval);
  file_.Poll();
  EXPECT_EQ(takes_, 2);
}

TEST_F(WatchedFileTest, AnotherContentOfEqualSizeIsSeen) {
  Write("one");
  ASSERT_TRUE(file_.Load().ok());
  Write("two");
  clock_.Pass(WatchedFile::kInterval);
  file_.Poll();
  EXPECT_EQ(taken_, "two");
}

TEST_F(WatchedFileTest, WhatIsRefusedOrGoneLeavesThingsAsTheyWere) {
  Write("one");
  ASSERT_TRUE(file_.Load().ok());
  Write("bad");
  clock_.Pass(WatchedFile::kInterval);
  file_.Poll();
  EXPECT_EQ(takes_, 2);
  EXPECT_EQ(taken_, "one");
  std::filesystem::remove(path_);
  clock_.Pass(WatchedFile::kInterval);
  file_.Poll();
  clock_.Pass(WatchedFile::kInterval);
  file_.Poll();
  EXPECT_EQ(taken_, "one");
  Write("three");
  clock_.Pass(WatchedFile::kInterval);
  file_.Poll();
  EXPECT_EQ(taken_, "three");
}

TEST_F(WatchedFileTest, AVersionThatLooksTheSameIsSeen) {
  std::ofstream(path_) << "one";
  const auto time = std::filesystem::last_write_time(path_);
  ASSERT_TRUE(file_.Load().ok());
  std::ofstream(path_) << "two";  // The inode and the size stay.
  std::filesystem::last_write_time(path_, time);
  clock_.Pass(WatchedFile::kInterval);
  file_.Poll();
  EXPECT_EQ(taken_, "two");
}

TEST_F(WatchedFileTest, AChangeThatCouldNotBeReadIsTriedAgainAndLoggedOnce) {
  Write("one");
  ASSERT_TRUE(file_.Load().ok());
  Write("two");
  rlimit files = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  const rlimit none = {.rlim_cur = 0, .rlim_max = files.rlim_max};
  ::testing::internal::CaptureStderr();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  for (int look = 0; look < 2; ++look) {
    clock_.Pass(WatchedFile::kInterval);
    file_.Poll();
  }
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
  EXPECT_THAT(log, HasSubstr("Too many open files"));
  EXPECT_EQ(taken_, "one");
  clock_.Pass(WatchedFile::kInterval);
  file_.Poll();
  EXPECT_EQ(taken_, "two");
}

TEST_F(WatchedFileTest, AFirstLoadThatFailsNamesTheFile) {
  const absl::Status missing = file_.Load();
  EXPECT_EQ(base::DetailOf(missing).reason, "SETTINGS_UNREADABLE");
  EXPECT_THAT(std::string(missing.message()), HasSubstr(path_));
  EXPECT_THAT(std::string(missing.message()), HasSubstr("No such file"));
  Write("bad");
  EXPECT_THAT(std::string(file_.Load().message()),
              HasSubstr(path_ + ": it is bad"));
  Write(std::string(kSettingsBytesMax + 1, 'x'));
  EXPECT_THAT(std::string(file_.Load().message()), HasSubstr("more than"));
  EXPECT_EQ(takes_, 1);
}

TEST_F(WatchedFileTest, ADirectoryIsNoFile) {
  std::filesystem::create_directory(path_);
  EXPECT_EQ(base::DetailOf(file_.Load()).reason, "SETTINGS_UNREADABLE");
}

}  // namespace
}  // namespace mneme::service
