#include "client/append_command.h"

#include <signal.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "client/document.h"
#include "client/safetensors.h"
#include "gmock/gmock.h"
#include "tests/client/command_line.h"
#include "tests/client/temporary_dir.h"

namespace mneme::client {
namespace {

using testing::FakeMemory;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::Ran;
using testing::RunOn;
using ::testing::SizeIs;
using testing::TemporaryDir;

constexpr char kName[] = "namespaces/default/sessions/s1";

class AppendCommand : public ::testing::Test {
 protected:
  Ran Append(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"append", "s1"});
    return RunOn(fake_, arguments);
  }
  FakeMemory fake_;
  TemporaryDir dir_;
};

TEST_F(AppendCommand, CreatesAMissingSessionAndSaysSo) {
  const Ran ran = Append({dir_.Write("book.txt", "Some words.")});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("created session s1 with profile \"text\""));
  EXPECT_THAT(ran.out, HasSubstr("1 entry, 1 passage"));
  EXPECT_EQ(fake_.create_request.profile_name(), "text");
  EXPECT_EQ(fake_.appends[0].text().source(), dir_.Path("book.txt"));
}

TEST_F(AppendCommand, FilesKeepTheirOwnSources) {
  fake_.AddSession(kName);
  const Ran ran =
      Append({dir_.Write("a.txt", "One."), dir_.Write("b.txt", "Two."),
              "--role", "author", "--meta", "isbn=1", "--meta", "x=a=b",
              "--time", "2024-05-01", "--buffered"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  ASSERT_THAT(fake_.appends, SizeIs(2));
  const v1::AppendRequest& last = fake_.appends[1];
  EXPECT_EQ(last.text().source(), dir_.Path("b.txt"));
  EXPECT_EQ(last.text().role(), "author");
  EXPECT_EQ(last.text().metadata().at("isbn"), "1");
  EXPECT_EQ(last.text().metadata().at("x"), "a=b");
  EXPECT_EQ(last.acknowledge(), v1::ACKNOWLEDGE_BUFFERED);
}

TEST_F(AppendCommand, SaysOnceThatItWaitsForAQuota) {
  fake_.AddSession(kName);
  const absl::Status slow =
      base::Error(absl::StatusCode::kResourceExhausted, "2 appends a second",
                  {.reason = "QUOTA_APPENDS",
                   .retry_after = std::chrono::milliseconds(1),
                   .quota = "namespaces/default"});
  fake_.failures = {absl::OkStatus(), slow, slow};
  const Ran ran = Append({dir_.Write("a.txt", "One.")});
  EXPECT_EQ(ran.code, kExitOk);
  const std::string told =
      "waiting for the server's limits: 2 appends a second\n";
  ASSERT_THAT(ran.err, HasSubstr(told));
  EXPECT_EQ(ran.err.find(told), ran.err.rfind(told));
  fake_.failures = {absl::OkStatus(), absl::UnavailableError("restarting")};
  EXPECT_THAT(Append({dir_.Write("b.txt", "Two.")}).err,
              Not(HasSubstr("waiting")));
}

TEST_F(AppendCommand, WhoMayNotReadHearsWhichScopeAnAppendTakes) {
  fake_.failures = {absl::PermissionDeniedError("needs the scope read"),
                    absl::PermissionDeniedError("needs the scope append")};
  const Ran ran = Append({"--text", "words"});
  EXPECT_EQ(ran.code, kExitRefused);
  EXPECT_EQ(ran.err, "mneme: needs the scope append\n");
}

TEST_F(AppendCommand, OfTheSameFileAgainSaysThatItIsThere) {
  const std::string path = dir_.Write("a.txt", "One.");
  Append({path});
  const Ran ran = Append({path});
  EXPECT_EQ(ran.code, kExitOk);
  EXPECT_THAT(ran.out, HasSubstr("1 entry was already there"));
}

TEST_F(AppendCommand, OfTheSameTextAgainIsASecondTurn) {
  Append({"--text", "yes", "--role", "user"});
  const Ran ran = Append({"--text", "yes", "--role", "user", "-o", "json"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_THAT(ran.err, IsEmpty());
  const auto report = nlohmann::json::parse(ran.out);
  EXPECT_EQ(report["session"], kName);
  EXPECT_EQ(report["created"], false);
  EXPECT_EQ(report["inputs"][0]["replayed"], 0);
  EXPECT_EQ(report["seq_next"], 2);
}

TEST_F(AppendCommand, JudgesEveryFileBeforeItAppendsAny) {
  fake_.AddSession(kName);
  const std::string good = dir_.Write("good.txt", "Words.");
  const std::tuple<std::string, int, std::string> cases[] = {
      {dir_.Path("none"), kExitNotFound, "none"},
      {dir_.Path(""), kExitUsage, "is a directory"},
      {dir_.Write("empty", ""), kExitUsage, "is empty"},
      {dir_.Write("nul", std::string("a\0b", 3)), kExitUsage, "NUL at byte 1"},
      {dir_.Write("latin1", "caf\xE9 au lait"), kExitUsage,
       "invalid UTF-8 at byte 3"},
  };
  for (const auto& [bad, code, why] : cases) {
    const Ran ran = Append({good, bad});
    EXPECT_EQ(ran.code, code) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr(why));
  }
  EXPECT_THAT(fake_.calls, IsEmpty());
}

TEST_F(AppendCommand, RefusesWhatDoesNotGoTogether) {
  const std::string file = dir_.Write("a.txt", "Words.");
  const std::vector<std::string> cases[] = {{},
                                            {file, "--text", "x"},
                                            {file, file, "--source", "s"},
                                            {"--tensors", file, "--role", "r"},
                                            {"--text", "x", "--time", "noon"},
                                            {"--text", " "},
                                            {"--text", "\xFF"},
                                            {file, "--meta", "novalue"},
                                            {file, "--meta", "=v"},
                                            {"-", "-"}};
  for (const auto& arguments : cases) {
    EXPECT_EQ(Append(arguments).code, kExitUsage)
        << ::testing::PrintToString(arguments);
  }
  EXPECT_THAT(fake_.calls, IsEmpty());
}

TEST_F(AppendCommand, StopsAtCtrlCAndResumes) {
  std::string text;
  while (text.size() < 3 * kPartBytes) text += "A line of words.\n";
  const std::string path = dir_.Write("book.txt", text);
  fake_.on_append = [] { ::raise(SIGINT); };
  const Ran stopped = Append({path});
  EXPECT_EQ(stopped.code, kExitInterrupted);
  EXPECT_THAT(stopped.err, HasSubstr("interrupted"));
  EXPECT_THAT(stopped.err, HasSubstr("the same command resumes"));
  EXPECT_THAT(fake_.appends, SizeIs(1));
  fake_.on_append = nullptr;
  const Ran resumed = Append({path});
  EXPECT_EQ(resumed.code, kExitOk) << resumed.err;
  EXPECT_THAT(resumed.out, HasSubstr("1 entry was already there"));
}

TEST_F(AppendCommand, StopsAtCtrlCBetweenFiles) {
  const std::string first = dir_.Write("a.txt", "One.");
  const std::string second = dir_.Write("b.txt", "Two.");
  fake_.on_append = [] { ::raise(SIGINT); };
  const Ran ran = Append({first, second});
  EXPECT_EQ(ran.code, kExitInterrupted);
  EXPECT_THAT(ran.err, HasSubstr("nothing of " + second));
  EXPECT_THAT(fake_.appends, SizeIs(1));
}

TEST_F(AppendCommand, TensorsNeedASession) {
  Safetensors file;
  file.tensors["keys"] = {"F16", {1, 1, 2, 1}, "1234"};
  file.tensors["values"] = {"F16", {1, 1, 2, 1}, "5678"};
  ASSERT_TRUE(WriteSafetensors(file, dir_.Path("kv")).ok());
  const Ran missing = Append({"--tensors", dir_.Path("kv")});
  EXPECT_EQ(missing.code, kExitNotFound);
  EXPECT_THAT(missing.err, HasSubstr("mneme create"));
  fake_.AddSession(kName);
  const Ran ran = Append({"--tensors", dir_.Path("kv")});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_EQ(ran.out, "s1: 2 tokens in 1 request; the log is at seq 2\n");
}

}  // namespace
}  // namespace mneme::client
