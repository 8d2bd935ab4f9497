#include "client/profile_command.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "gmock/gmock.h"
#include "tests/client/command_line.h"

namespace mneme::client {
namespace {

using ::testing::ElementsAre;
using testing::FakeMemory;
using ::testing::HasSubstr;
using testing::Ran;
using testing::RunOn;

class ProfileCommand : public ::testing::Test {
 protected:
  ProfileCommand() {
    for (const char* name : {"fot", "infini"}) {
      v1::ProfilePreset& preset = fake_.presets.emplace_back();
      preset.mutable_profile()->set_name(name);
      preset.mutable_profile()->mutable_window()->set_tokens(99);
      preset.set_summary(std::string("What ") + name + " does.");
      preset.set_source("A paper");
      preset.set_differences("Some");
    }
  }
  FakeMemory fake_;
};

TEST_F(ProfileCommand, ListsNamesAndSummaries) {
  const Ran ran = RunOn(fake_, {"profiles"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("fot      What fot does.\n"));
  EXPECT_THAT(ran.out, HasSubstr("infini   What infini does.\n"));
  const Ran json = RunOn(fake_, {"profiles", "-o", "json"});
  EXPECT_EQ(nlohmann::json::parse(json.out)["presets"].size(), 2);
}

TEST_F(ProfileCommand, ShowsAllOfOne) {
  const Ran ran = RunOn(fake_, {"profiles", "show", "infini"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("What infini does."));
  EXPECT_THAT(ran.out, HasSubstr("A paper"));
  EXPECT_THAT(ran.out, HasSubstr("differences  Some"));
  EXPECT_THAT(ran.out, HasSubstr("window.tokens     99\n"));
  EXPECT_THAT(fake_.calls, ElementsAre("GetProfile"));
  const Ran json = RunOn(fake_, {"profiles", "show", "infini", "-o", "json"});
  const auto preset = nlohmann::json::parse(json.out);
  EXPECT_EQ(preset["profile"]["window"]["tokens"], 99);
  EXPECT_EQ(preset["summary"], "What infini does.");
}

TEST_F(ProfileCommand, ATypoGetsTheNearestName) {
  const Ran ran = RunOn(fake_, {"profiles", "show", "infin"});
  EXPECT_EQ(ran.code, kExitNotFound);
  EXPECT_EQ(ran.err,
            "mneme: no profile \"infin\" (did you mean \"infini\"?)\n");
  EXPECT_EQ(RunOn(fake_, {"profiles", "show", "other"}).err,
            "mneme: no profile \"other\"\n");
}

TEST_F(ProfileCommand, TheNearestNameKeepsReasonAndField) {
  Client client(fake_.Channel());
  const absl::Status status = FindPreset(client, "fott").status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(base::DetailOf(status).reason, "PROFILE_NOT_FOUND");
  EXPECT_EQ(base::DetailOf(status).field, "name");
}

TEST_F(ProfileCommand, OtherErrorsStayAsTheyAre) {
  Client client(fake_.Channel());
  const absl::Status status = absl::NotFoundError("no session fott");
  EXPECT_EQ(WithNearestPreset(client, "fott", status), status);
  EXPECT_TRUE(fake_.calls.empty());
  // Without the list there is only the error itself.
  const absl::Status missing = base::Error(
      absl::StatusCode::kNotFound, "no fott", {.reason = "PROFILE_NOT_FOUND"});
  fake_.failures = {absl::InternalError("no list")};
  EXPECT_EQ(WithNearestPreset(client, "fott", missing), missing);
}

}  // namespace
}  // namespace mneme::client
