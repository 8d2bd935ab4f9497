#include "service/token_command.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/access.h"

namespace mneme::service {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Ran {
  int code = 0;
  std::string out = {};
  std::string err = {};
};

class TokenCommandTest : public ::testing::Test {
 protected:
  TokenCommandTest() { std::filesystem::create_directories(directory_); }
  ~TokenCommandTest() override { std::filesystem::remove_all(directory_); }

  static Ran Run(const std::vector<std::string>& words) {
    std::vector<const char*> argv = {"mneme"};
    for (const std::string& word : words) argv.push_back(word.c_str());
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    Ran ran{.code = TokenCommand(static_cast<int>(argv.size()), argv.data())};
    ran.out = ::testing::internal::GetCapturedStdout();
    ran.err = ::testing::internal::GetCapturedStderr();
    return ran;
  }

  // Whom the file takes the printed token for; empty for nobody.
  std::string WhoIs(std::string printed) const {
    if (!printed.ends_with('\n')) return "";
    printed.pop_back();
    const auto access = Access::Open(file_, &clock_);
    EXPECT_TRUE(access.ok()) << access.status();
    const auto caller =
        (*access)->Authenticate({.has_token = true, .token = printed});
    return caller.ok() ? caller->name : "";
  }
  std::string Content() const {
    std::ifstream file(file_);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const std::filesystem::path directory_ =
      std::filesystem::path(::testing::TempDir()) /
      ("mneme_token_" + std::to_string(getpid()));
  const std::string file_ = (directory_ / "tokens.json").string();
  base::RealClock clock_;
};

TEST_F(TokenCommandTest, ANewTokenIsPrintedOnceAndKeptAsAHash) {
  const Ran made = Run({"new", "--name", "alice", "--scope", "notes:append",
                        "--scope", "papers:read", "--file", file_});
  EXPECT_EQ(made.code, 0) << made.err;
  EXPECT_EQ(WhoIs(made.out), "alice");
  const std::string secret = made.out.substr(0, made.out.size() - 1);
  EXPECT_THAT(made.err, Not(HasSubstr(secret)));
  EXPECT_THAT(Content(), Not(HasSubstr(secret)));
  EXPECT_THAT(Content(), HasSubstr("\"notes:append\",\"papers:read\""));
  struct stat status;
  ASSERT_EQ(stat(file_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600);
}

TEST_F(TokenCommandTest, WithoutAFileItPrintsTheLineToAdd) {
  const Ran made = Run({"new", "--name", "alice", "--scope", "*:admin"});
  EXPECT_EQ(made.code, 0) << made.err;
  const std::string line = made.err.substr(made.err.find('\n') + 1);
  std::ofstream(file_) << "{\"tokens\": [" << line << "]}";
  EXPECT_EQ(WhoIs(made.out), "alice");
}

TEST_F(TokenCommandTest, ATokenIsRotatedByItsNameAndId) {
  const std::vector<std::string> add = {
      "new", "--name", "alice", "--scope", "notes:append", "--file", file_};
  const Ran old = Run(add);
  const std::string old_id = Run({"list", "--file", file_}).out.substr(0, 8);
  const Ran fresh = Run(add);
  EXPECT_EQ(WhoIs(old.out), "alice");
  EXPECT_EQ(WhoIs(fresh.out), "alice");
  EXPECT_EQ(Run({"revoke", old_id, "--file", file_}).code, 0);
  EXPECT_EQ(WhoIs(old.out), "");
  EXPECT_EQ(WhoIs(fresh.out), "alice");
  EXPECT_EQ(Run({"revoke", "alice", "--file", file_}).code, 0);
  EXPECT_EQ(WhoIs(fresh.out), "");
  const Ran again = Run({"revoke", "alice", "--file", file_});
  EXPECT_EQ(again.code, 3);
  EXPECT_THAT(again.err, HasSubstr("alice"));
}

TEST_F(TokenCommandTest, TheListSaysWhoMayWhatUntilWhen) {
  Run({"new", "--name", "alice", "--scope", "notes:append", "--file", file_,
       "--expires", "2020-01-01T00:00:00Z"});
  Run({"new", "--name", "engine", "--scope", "*:read", "--certificate",
       "engine.example", "--file", file_, "--expires", "30d"});
  const Ran listed = Run({"list", "--file", file_});
  EXPECT_EQ(listed.code, 0);
  EXPECT_THAT(listed.out, HasSubstr("alice  notes:append  expired 2020-01-01"));
  EXPECT_THAT(listed.out, HasSubstr("engine.example  engine  *:read  expires"));
}

TEST_F(TokenCommandTest, ACertificateHasNoToken) {
  const Ran made = Run({"new", "--name", "engine", "--scope", "*:append",
                        "--certificate", "engine.example", "--file", file_});
  EXPECT_EQ(made.code, 0) << made.err;
  EXPECT_EQ(made.out, "");
  EXPECT_THAT(Content(), HasSubstr("\"certificate\":\"engine.example\""));
}

TEST_F(TokenCommandTest, WhatTheServerWouldRefuseIsNotWritten) {
  const std::string name = "alice";
  EXPECT_EQ(
      Run({"new", "--name", name, "--scope", "notes:write", "--file", file_})
          .code,
      2);
  EXPECT_EQ(Run({"new", "--name", name, "--scope", "notes:read", "--expires",
                 "soon", "--file", file_})
                .code,
            2);
  EXPECT_EQ(
      Run({"new", "--name", "", "--scope", "a:read", "--file", file_}).code, 2);
  EXPECT_EQ(Run({"new", "--name", name, "--file", file_}).code, 2);
  EXPECT_EQ(Run({}).code, 2);
  EXPECT_EQ(Run({"--help"}).code, 0);
  EXPECT_FALSE(std::filesystem::exists(file_));
  std::ofstream(file_) << "not json";
  EXPECT_EQ(
      Run({"new", "--name", name, "--scope", "a:read", "--file", file_}).code,
      2);
  EXPECT_EQ(Content(), "not json");
}

TEST_F(TokenCommandTest, TwoEditsAtOnceAreKeptApart) {
  std::ofstream(file_ + ".new") << "";
  const Ran made =
      Run({"new", "--name", "alice", "--scope", "a:read", "--file", file_});
  EXPECT_NE(made.code, 0);
  EXPECT_THAT(made.err, HasSubstr("another edit"));
  EXPECT_EQ(made.out, "");
}

TEST_F(TokenCommandTest, NothingIsReadWhileAnotherEditIsUnderWay) {
  std::ofstream(file_ + ".new") << "";
  std::ofstream(file_) << "what the other edit is about to replace";
  EXPECT_THAT(
      Run({"new", "--name", "alice", "--scope", "a:read", "--file", file_}).err,
      HasSubstr("another edit"));
  EXPECT_THAT(Run({"revoke", "alice", "--file", file_}).err,
              HasSubstr("another edit"));
  EXPECT_TRUE(std::filesystem::exists(file_ + ".new"));
}

TEST_F(TokenCommandTest, NoEditUndoesAnother) {
  constexpr int kThreads = 4;
  constexpr int kEdits = 8;
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::string name = "caller" + std::to_string(t);
      const std::vector<const char*> argv = {
          "mneme",   "new",    "--name", name.c_str(),
          "--scope", "a:read", "--file", file_.c_str()};
      for (int made = 0; made < kEdits;) {
        made += TokenCommand(static_cast<int>(argv.size()), argv.data()) == 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ::testing::internal::GetCapturedStdout();
  ::testing::internal::GetCapturedStderr();
  const std::string listed = Run({"list", "--file", file_}).out;
  EXPECT_EQ(std::count(listed.begin(), listed.end(), '\n'), kThreads * kEdits);
  EXPECT_FALSE(std::filesystem::exists(file_ + ".new"));
}

TEST_F(TokenCommandTest, TheFileStaysItsOwners) {
  if (geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  constexpr uid_t kServer = 54321;
  const std::vector<std::string> add = {"new",    "--name", "alice", "--scope",
                                        "a:read", "--file", file_};
  ASSERT_EQ(Run(add).code, 0);
  ASSERT_EQ(chown(file_.c_str(), kServer, kServer), 0);
  EXPECT_EQ(Run(add).code, 0);
  struct stat status = {};
  ASSERT_EQ(stat(file_.c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, kServer);
  EXPECT_EQ(status.st_gid, kServer);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  // Somebody who may read the file and write beside it, but not give it back.
  ASSERT_EQ(chmod(file_.c_str(), 0644), 0);
  std::filesystem::permissions(directory_, std::filesystem::perms::all);
  const std::string before = Content();
  ASSERT_EQ(seteuid(kServer + 1), 0);
  const Ran refused = Run({"revoke", "alice", "--file", file_});
  ASSERT_EQ(seteuid(0), 0);
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("edit it as that user or as root"));
  EXPECT_EQ(Content(), before);
  EXPECT_FALSE(std::filesystem::exists(file_ + ".new"));
}

}  // namespace
}  // namespace mneme::service
