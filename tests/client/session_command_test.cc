#include "client/session_command.h"

#include <nlohmann/json.hpp>

#include "gmock/gmock.h"
#include "tests/client/command_line.h"
#include "tests/client/temporary_dir.h"

namespace mneme::client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::FakeMemory;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Ran;
using testing::RunOn;
using testing::TemporaryDir;

class SessionCommand : public ::testing::Test {
 protected:
  FakeMemory fake_;
};

std::string Name(const std::string& session) {
  return "namespaces/default/sessions/" + session;
}

TEST_F(SessionCommand, SessionsTurnsEveryPage) {
  for (const char* session : {"a", "b", "c", "d", "e"}) {
    fake_.AddSession(Name(session));
  }
  fake_.AddSession("namespaces/team/sessions/z");
  const Ran ran = RunOn(fake_, {"sessions", "-o", "json"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_EQ(nlohmann::json::parse(ran.out)["sessions"].size(), 5);
  EXPECT_THAT(fake_.calls,
              ElementsAre("ListSessions", "ListSessions", "ListSessions"));
  EXPECT_THAT(RunOn(fake_, {"sessions", "team"}).out, HasSubstr("team/z"));
  EXPECT_THAT(RunOn(fake_, {"sessions", "none"}).err,
              HasSubstr("no sessions in namespaces/none"));
}

TEST_F(SessionCommand, ShowDescribesOrSaysThatThereIsNone) {
  fake_.AddSession(Name("s1")).set_entries(42);
  EXPECT_THAT(RunOn(fake_, {"show", "s1"}).out, HasSubstr("42"));
  const Ran ran = RunOn(fake_, {"show", "s2"});
  EXPECT_EQ(ran.code, kExitNotFound);
  EXPECT_EQ(ran.err,
            "mneme: no session namespaces/default/sessions/s2 (did you mean "
            "\"s1\"?)\n");
}

TEST_F(SessionCommand, StatsWithoutASessionAreTheServers) {
  fake_.stats_response.mutable_server()->set_kernel_target("AVX2");
  const Ran ran = RunOn(fake_, {"stats"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("AVX2"));
}

TEST_F(SessionCommand, StatsThatAreNotGivenAreNotShownAsZero) {
  fake_.stats_response.mutable_server()->set_version("1.2");
  const Ran ran = RunOn(fake_, {"stats"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_EQ(ran.out,
            "server               1.2\n"
            "the rest is shown to callers with the scope read on *\n");
}

TEST_F(SessionCommand, AMissingSessionIsAnsweredByTheNearestName) {
  fake_.AddSession("namespaces/team/sessions/diary");
  for (const char* command : {"show", "verify"}) {
    const Ran near = RunOn(fake_, {command, "team/dairy"});
    EXPECT_EQ(near.code, kExitNotFound);
    EXPECT_EQ(near.err,
              "mneme: no session namespaces/team/sessions/dairy (did you mean "
              "\"team/diary\"?)\n");
  }
  EXPECT_EQ(RunOn(fake_, {"show", "team/else"}).err,
            "mneme: no session namespaces/team/sessions/else (`mneme sessions "
            "team` lists them)\n");
}

TEST_F(SessionCommand, AProfileFilesUnknownKeyIsNamed) {
  const TemporaryDir dir;
  const auto create = [&](const std::string& json) {
    const Ran ran = RunOn(
        fake_, {"create", "s1", "--profile-file", dir.Write("p.json", json)});
    EXPECT_EQ(ran.code, kExitUsage);
    EXPECT_THAT(ran.err, HasSubstr("p.json"));
    return ran.err;
  };
  EXPECT_THAT(create(R"({"layers": 1, "querry_heads": 4})"),
              HasSubstr("did you mean \"query_heads\"?"));
  EXPECT_THAT(create(R"({"knn": {"topk": 4}})"),
              AllOf(HasSubstr("\"knn.topk\""),
                    HasSubstr("did you mean \"knn.top_k\"?")));
  EXPECT_THAT(fake_.calls, IsEmpty());
  EXPECT_EQ(RunOn(fake_, {"create", "s1", "--profile-file",
                          dir.Write("p.json", R"({"queryHeads": 4})")})
                .code,
            kExitOk);
}

TEST_F(SessionCommand, CreateTakesAProfileByNameOrFile) {
  const TemporaryDir dir;
  EXPECT_EQ(RunOn(fake_, {"create", "s1"}).code, kExitOk);
  EXPECT_EQ(fake_.create_request.profile_name(), "text");
  const std::string file =
      dir.Write("p.json", R"({"key_dim": 64, "knn": {"top_k": 8}})");
  EXPECT_EQ(RunOn(fake_, {"create", "s2", "--profile-file", file}).code,
            kExitOk);
  EXPECT_EQ(fake_.create_request.profile().knn().top_k(), 8);
  const Ran typo = RunOn(fake_, {"create", "s3", "--profile-file",
                                 dir.Write("bad.json", R"({"keydim": 64})")});
  EXPECT_EQ(typo.code, kExitUsage);
  EXPECT_THAT(typo.err, HasSubstr("keydim"));
  EXPECT_EQ(RunOn(fake_,
                  {"create", "s3", "--profile-file", file, "--profile", "text"})
                .code,
            kExitUsage);
}

v1::ProfilePreset Fot() {
  v1::ProfilePreset preset;
  v1::Profile& profile = *preset.mutable_profile();
  profile.set_name("fot");
  profile.set_key_dim(128);
  profile.mutable_knn()->set_top_k(128);
  profile.mutable_knn()->mutable_positions()->set_policy(
      v1::POSITION_POLICY_NONE);
  return preset;
}

TEST_F(SessionCommand, CreateSetsSettingsOverAPreset) {
  fake_.presets = {Fot()};
  const Ran ran = RunOn(fake_, {"create", "s1", "--profile", "fot", "--set",
                                "key_dim=64", "--set", "knn.top_k=32"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  const v1::Profile& sent = fake_.create_request.profile();
  EXPECT_EQ(sent.preset(), "fot");
  EXPECT_EQ(sent.key_dim(), 64);
  EXPECT_EQ(sent.knn().top_k(), 32);
  EXPECT_EQ(sent.knn().positions().policy(), v1::POSITION_POLICY_NONE);
  EXPECT_THAT(fake_.calls, ElementsAre("GetProfile", "CreateSession"));
  fake_.calls.clear();
  EXPECT_EQ(RunOn(fake_, {"create", "s2", "--set", "name=mine"}).code, kExitOk);
  EXPECT_EQ(fake_.create_request.profile().preset(), "text");
  EXPECT_THAT(fake_.calls, ElementsAre("CreateSession"));
}

TEST_F(SessionCommand, CreateSetsSettingsOverAFile) {
  const TemporaryDir dir;
  fake_.presets = {Fot()};
  const std::string file = dir.Write(
      "p.json", R"({"key_dim": 64, "knn": {"top_k": 8, "chunk_tokens": 4}})");
  const Ran ran = RunOn(
      fake_, {"create", "s1", "--profile-file", file, "--set", "knn.top_k=16"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_EQ(fake_.create_request.profile().preset(), "");
  EXPECT_EQ(fake_.create_request.profile().knn().top_k(), 16);
  EXPECT_EQ(fake_.create_request.profile().knn().chunk_tokens(), 4);
  const std::string based = dir.Write("b.json", R"({"preset": "fot"})");
  EXPECT_EQ(RunOn(fake_, {"create", "s1", "--profile-file", based, "--set",
                          "knn.chunk_tokens=2"})
                .code,
            kExitOk);
  EXPECT_EQ(fake_.create_request.profile().knn().top_k(), 128);
  EXPECT_EQ(fake_.create_request.profile().knn().chunk_tokens(), 2);
}

TEST_F(SessionCommand, CreateWithAWrongSettingAsksForNothing) {
  const Ran ran = RunOn(fake_, {"create", "s1", "--set", "knn.topk=64"});
  EXPECT_EQ(ran.code, kExitUsage);
  EXPECT_THAT(ran.err, HasSubstr("\"knn.topk\""));
  EXPECT_THAT(ran.err, HasSubstr("did you mean \"knn.top_k\"?"));
  EXPECT_THAT(fake_.calls, IsEmpty());
}

TEST_F(SessionCommand, CreateKnowsWhichProfileWasMeant) {
  const TemporaryDir dir;
  fake_.presets = {Fot()};
  const std::string file = dir.Write("p.json", R"({"preset": "fott"})");
  for (const std::vector<std::string>& flags :
       std::vector<std::vector<std::string>>{
           {"--profile", "fott"},
           {"--profile", "fott", "--set", "key_dim=64"},
           {"--profile", "fott", "--set", "knn.top_k=64"},
           {"--profile-file", file}}) {
    std::vector<std::string> arguments = {"create", "s1"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const Ran ran = RunOn(fake_, arguments);
    EXPECT_EQ(ran.code, kExitNotFound);
    EXPECT_EQ(ran.err, "mneme: no profile \"fott\" (did you mean \"fot\"?)\n");
  }
}

TEST_F(SessionCommand, CommitSaysWhatWentWhere) {
  fake_.AddSession(Name("s1"));
  fake_.commit_response.set_committed_tokens(12);
  fake_.commit_response.set_window_tokens(4);
  fake_.commit_response.set_knn_tokens(500);
  const Ran ran = RunOn(fake_, {"commit", "s1", "--keep", "4"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_EQ(ran.out,
            "committed 12 tokens; now 4 in the window, 500 in the knn tier\n");
  EXPECT_EQ(fake_.commit_request.keep_tokens(), 4);
  const Ran json = RunOn(fake_, {"commit", "s1", "-o", "json"});
  EXPECT_EQ(nlohmann::json::parse(json.out)["committed_tokens"], "12");
  EXPECT_EQ(fake_.commit_request.keep_tokens(), 0);
  EXPECT_EQ(RunOn(fake_, {"commit", "s2"}).code, kExitNotFound);
}

TEST_F(SessionCommand, VerifySaysWhetherASessionIsClean) {
  fake_.AddSession(Name("s1"));
  fake_.verify_response.set_clean(true);
  const Ran clean = RunOn(fake_, {"verify", "s1"});
  EXPECT_EQ(clean.code, kExitOk) << clean.err;
  EXPECT_EQ(clean.out, "s1: clean\n");
  fake_.verify_response.set_clean(false);
  const Ran dirty = RunOn(fake_, {"verify", "s1", "-o", "json"});
  EXPECT_EQ(dirty.code, kExitNotClean);
  const auto json = nlohmann::json::parse(dirty.out);
  EXPECT_EQ(json["session"], Name("s1"));
  EXPECT_EQ(json["clean"], false);
  EXPECT_EQ(RunOn(fake_, {"verify"}).code, kExitUsage);
}

TEST_F(SessionCommand, VerifyAllGoesOnAfterADamagedSession) {
  fake_.AddSession(Name("a"));
  fake_.AddSession(Name("b"));
  fake_.verify_response.set_clean(true);
  fake_.failures = {absl::OkStatus(), absl::DataLossError("bad checksum")};
  const Ran ran = RunOn(fake_, {"verify", "--all"});
  EXPECT_EQ(ran.code, kExitNotClean);
  EXPECT_THAT(ran.out, HasSubstr("a: NOT CLEAN"));
  EXPECT_THAT(ran.out, HasSubstr("bad checksum"));
  EXPECT_THAT(ran.out, HasSubstr("b: clean"));
  EXPECT_THAT(ran.out, HasSubstr("2 sessions, NOT ALL CLEAN"));
}

}  // namespace
}  // namespace mneme::client
