#include <cstdlib>
#include <future>
#include <nlohmann/json.hpp>

#include "client/context.h"
#include "gmock/gmock.h"
#include "tests/client/command_line.h"

namespace mneme::client {
namespace {

using ::testing::ElementsAre;
using testing::FakeMemory;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Ran;
using testing::RunOn;
using testing::RunWithHooks;

constexpr char kName[] = "namespaces/default/sessions/s1";
// Port 1 is privileged: no server of ours listens there.
constexpr char kNobody[] = "127.0.0.1:1";

Ran Mneme(const std::vector<std::string>& arguments) {
  return RunWithHooks(arguments, {});
}

TEST(Cli, ServeGetsItsArgumentsUntouched) {
  std::vector<std::string> got;
  const ServerHooks hooks = {.serve =
                                 [&](int argc, const char* const* argv) {
                                   got.assign(argv, argv + argc);
                                   EXPECT_EQ(argv[argc], nullptr);
                                   return 42;
                                 },
                             .open = nullptr,
                             .restore = nullptr};
  EXPECT_EQ(RunWithHooks({"serve", "--help", "-o", "x", "--", "y"}, hooks).code,
            42);
  EXPECT_THAT(got, ElementsAre("mneme", "--help", "-o", "x", "--", "y"));
}

TEST(Cli, HelpNamesEveryCommandAndEveryExitCode) {
  const Ran ran = Mneme({"--help"});
  EXPECT_EQ(ran.code, kExitOk);
  for (const char* word :
       {"serve",    "append",     "recall",   "context",      "attend",
        "sessions", "show",       "stats",    "forget",       "delete",
        "verify",   "create",     "profiles", "commit",       "tokens",
        "Examples", "Exit codes", "130",      "MNEME_SERVER", "--data",
        "--timeout"}) {
    EXPECT_THAT(ran.out, HasSubstr(word));
  }
  EXPECT_THAT(ran.err, IsEmpty());
  EXPECT_THAT(Mneme({"append", "--help"}).out, HasSubstr("pdftotext"));
  EXPECT_THAT(Mneme({"create", "--help"}).out, HasSubstr("PATH=VALUE"));
  EXPECT_EQ(Mneme({"profiles", "show", "--help"}).code, kExitOk);
}

TEST(Cli, WithoutArgumentsShowsHelpAsAnError) {
  const Ran ran = Mneme({});
  EXPECT_EQ(ran.code, kExitUsage);
  EXPECT_THAT(ran.err, HasSubstr("Usage"));
}

TEST(Cli, SaysItsVersion) {
  const Ran ran = Mneme({"--version"});
  EXPECT_EQ(ran.code, kExitOk);
  EXPECT_THAT(ran.out, ::testing::MatchesRegex("mneme [0-9]+\\.[0-9.]+\n"));
}

TEST(Cli, ATypoGetsAHint) {
  const Ran command = Mneme({"recal", "s1", "words"});
  EXPECT_EQ(command.code, kExitUsage);
  EXPECT_THAT(command.err, HasSubstr("unknown command \"recal\" "
                                     "(did you mean \"recall\"?)"));
  const Ran flag = Mneme({"recall", "s1", "words", "--explian"});
  EXPECT_EQ(flag.code, kExitUsage);
  EXPECT_THAT(flag.err, HasSubstr("unknown flag \"--explian\" "
                                  "(did you mean \"--explain\"?)"));
  EXPECT_THAT(flag.err, HasSubstr("mneme recall --help"));
  EXPECT_THAT(Mneme({"show", "s1", "--sever=x"}).err,
              HasSubstr("did you mean \"--server\"?"));
  EXPECT_THAT(Mneme({"--otput", "json", "show", "s1"}).err,
              HasSubstr("did you mean \"--output\"?"));
  const Ran inner = Mneme({"profiles", "shwo", "infini"});
  EXPECT_EQ(inner.code, kExitUsage);
  EXPECT_THAT(inner.err, HasSubstr("unexpected argument \"shwo\" "
                                   "(did you mean \"show\"?)"));
  const Ran innermost = Mneme({"profiles", "show", "infini", "--al"});
  EXPECT_EQ(innermost.code, kExitUsage);
  EXPECT_THAT(innermost.err, HasSubstr("mneme profiles show --help"));
}

TEST(Cli, ArgumentsThatAreMissingTooManyOrBadAreUsage) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{
           {"show"},
           {"show", "a", "b"},
           {"recall", "s1"},
           {"recall", "s1", "x", "-k", "many"},
           {"recall", "s1", "x", "-k", "-1"},
           {"recall", "s1", "x", "-o", "yaml"},
           {"profiles", "show"},
           {"profiles", "show", "a", "b"},
           {"tokens", "s1", "--limit", "0"},
           {"tokens", "s1", "--from", "-1"},
           {"commit", "s1", "--keep", "few"},
           {"commit"},
           {"create", "s1", "--set"},
           {"show", "s1", "--timeout", "0"},
           {"show", "s1", "--timeout", "soon"},
           {"--server"}}) {
    EXPECT_EQ(Mneme(arguments).code, kExitUsage)
        << ::testing::PrintToString(arguments);
  }
}

TEST(Cli, ANumberOutOfItsRangeIsToldTheRange) {
  const Ran ran = Mneme({"recall", "s1", "x", "-k", "abc"});
  EXPECT_EQ(ran.code, kExitUsage);
  EXPECT_THAT(ran.err, HasSubstr("--limit"));
  EXPECT_THAT(ran.err, HasSubstr("abc"));
  EXPECT_THAT(ran.err, HasSubstr("1 to 1000"));
}

TEST(Cli, ErrorsAreJsonForPrograms) {
  FakeMemory fake;
  const Ran missing = RunOn(fake, {"show", "s1", "-o", "json"});
  EXPECT_EQ(missing.code, kExitNotFound);
  EXPECT_THAT(missing.out, IsEmpty());
  const auto error = nlohmann::json::parse(missing.err)["error"];
  EXPECT_EQ(error["code"], "NOT_FOUND");
  EXPECT_EQ(error["reason"], "SESSION_NOT_FOUND");
  EXPECT_EQ(error["field"], "session");
  EXPECT_EQ(error["metadata"]["session"], kName);
  for (const std::vector<std::string>& json :
       std::vector<std::vector<std::string>>{
           {"-o", "json"}, {"--output", "json"}, {"--output=json"}}) {
    std::vector<std::string> arguments = {"shwo", "s1"};
    arguments.insert(arguments.end(), json.begin(), json.end());
    EXPECT_EQ(nlohmann::json::parse(Mneme(arguments).err)["error"]["reason"],
              "USAGE");
  }
}

TEST(Cli, EveryKindOfFailureHasItsExitCode) {
  FakeMemory fake;
  fake.AddSession(kName);
  const std::pair<absl::StatusCode, int> cases[] = {
      {absl::StatusCode::kInternal, kExitFailed},
      {absl::StatusCode::kDataLoss, kExitFailed},
      {absl::StatusCode::kInvalidArgument, kExitUsage},
      {absl::StatusCode::kNotFound, kExitNotFound},
      {absl::StatusCode::kResourceExhausted, kExitRefused},
      {absl::StatusCode::kFailedPrecondition, kExitRefused},
      {absl::StatusCode::kPermissionDenied, kExitRefused},
  };
  for (const auto& [status, code] : cases) {
    fake.failures = {absl::Status(status, "because")};
    const Ran ran = RunOn(fake, {"show", "s1"});
    EXPECT_EQ(ran.code, code);
    EXPECT_EQ(ran.err, "mneme: because\n");
  }
}

TEST(Cli, WithoutAServerSaysWhereItLookedAndWhatToDo) {
  const Ran ran = Mneme({"--server", kNobody, "show", "s1"});
  EXPECT_EQ(ran.code, kExitUnavailable);
  EXPECT_THAT(ran.err, HasSubstr(kNobody));
  EXPECT_THAT(ran.err, HasSubstr("mneme serve"));
  EXPECT_THAT(ran.err, HasSubstr("--data"));
  const Ran json = Mneme({"--server", kNobody, "show", "s1", "-o", "json"});
  const auto error = nlohmann::json::parse(json.err)["error"];
  EXPECT_EQ(error["reason"], "NO_SERVER");
  EXPECT_EQ(error["metadata"]["address"], kNobody);
}

TEST(Cli, AServerThatIsAwayForAMomentIsNotMissing) {
  FakeMemory fake;
  fake.AddSession(kName);
  fake.failures.assign(9, absl::UnavailableError("shutting down"));
  const Ran ran = Mneme({"--server", fake.Address(), "show", "s1"});
  EXPECT_EQ(ran.code, kExitUnavailable);
  EXPECT_EQ(ran.err, "mneme: shutting down\n");
}

TEST(Cli, FindsTheServerByFlagThenByVariable) {
  FakeMemory fake;
  fake.AddSession(kName);
  ::setenv("MNEME_SERVER", kNobody, 1);
  EXPECT_EQ(Mneme({"show", "s1", "--server", fake.Address()}).code, kExitOk);
  EXPECT_EQ(Mneme({"show", "s1"}).code, kExitUnavailable);
  ::setenv("MNEME_SERVER", fake.Address().c_str(), 1);
  EXPECT_EQ(Mneme({"show", "s1"}).code, kExitOk);
  // The directory was named now, the variable long ago.
  EXPECT_EQ(RunOn(fake, {"show", "s1"}).code, kExitOk);
  ::unsetenv("MNEME_SERVER");
}

TEST(Cli, ACallIsPartOfTheTraceOfTheFlagElseOfTheVariable) {
  const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-";
  const std::string flag = trace + "00f067aa0ba902b7-01";
  const std::string variable = trace + "00f067aa0ba902b8-00";
  FakeMemory fake;
  fake.AddSession(kName);
  const auto shown = [&](const std::vector<std::string>& arguments) {
    EXPECT_EQ(RunOn(fake, arguments).code, kExitOk);
    return fake.traceparent;
  };
  EXPECT_EQ(shown({"show", "s1"}), "");
  EXPECT_EQ(shown({"show", "s1", "--traceparent", flag}), flag);
  ::setenv("TRACEPARENT", variable.c_str(), 1);
  EXPECT_EQ(shown({"show", "s1"}), variable);
  EXPECT_EQ(shown({"--traceparent", flag, "show", "s1"}), flag);
  ::setenv("TRACEPARENT", "what another tool left\n", 1);
  EXPECT_EQ(shown({"show", "s1"}), "");
  ::unsetenv("TRACEPARENT");
  for (const std::string wrong : {"", "00-1-2-01", "\n"}) {
    const Ran ran = RunOn(fake, {"show", "s1", "--traceparent", wrong});
    EXPECT_EQ(ran.code, kExitUsage) << wrong;
    EXPECT_THAT(ran.err, HasSubstr("--traceparent"));
    EXPECT_THAT(ran.err, HasSubstr("00-TRACE-SPAN-FLAGS"));
  }
}

TEST(Cli, TakesADirectoryOrAServerNotBoth) {
  FakeMemory fake;
  const Ran ran = RunOn(fake, {"show", "s1", "--server", kNobody});
  EXPECT_EQ(ran.code, kExitUsage);
  EXPECT_THAT(ran.err, HasSubstr("--data"));
}

TEST(Cli, ADirectoryThatCannotBeOpenedIsExplained) {
  const ServerHooks hooks = {
      .serve = nullptr,
      .open = [](const std::string& data_dir,
                 bool) -> absl::StatusOr<EmbeddedServer> {
        return absl::FailedPreconditionError(data_dir + " is in use");
      },
      .restore = nullptr};
  const Ran ran = RunWithHooks({"--data", "./mem", "show", "s1"}, hooks);
  EXPECT_EQ(ran.code, kExitRefused);
  EXPECT_EQ(ran.err, "mneme: ./mem is in use\n");
}

TEST(Cli, ATimeoutEndsASlowCall) {
  FakeMemory fake;
  fake.AddSession(kName);
  std::promise<void> done;
  fake.on_append = [&] { done.get_future().wait(); };
  const Ran ran = Mneme({"append", "s1", "--text", "words", "--timeout", "0.3",
                         "--server", fake.Address()});
  done.set_value();
  EXPECT_EQ(ran.code, kExitUnavailable);
  EXPECT_THAT(ran.err, HasSubstr("did not answer in time"));
  EXPECT_THAT(ran.err, HasSubstr("--timeout"));
}

}  // namespace
}  // namespace mneme::client
