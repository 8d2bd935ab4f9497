#include "client/upkeep_command.h"

#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/fake_admin.h"

namespace mneme::client {
namespace {

using testing::FakeAdmin;
using ::testing::HasSubstr;

TEST(UpkeepCommand, CompactSaysWhatItFreed) {
  FakeAdmin admin;
  admin.compact_response.set_bytes_before(3'000'000);
  admin.compact_response.set_bytes_after(1'000'000);
  EXPECT_EQ(admin.Run({"compact"}).out, "3.0 MB before, 1.0 MB after\n");
  EXPECT_EQ(nlohmann::json::parse(
                admin.Run({"compact", "-o", "json"}).out)["bytes_after"],
            "1000000");
}

TEST(UpkeepCommand, WhatIsFoundIsToldWhereItLies) {
  FakeAdmin admin;
  admin.forgotten.set_clean(true);
  admin.forgotten.set_samples(12);
  const auto clean = admin.Run({"verify", "--forgotten"});
  EXPECT_EQ(clean.code, kExitOk);
  EXPECT_THAT(clean.out, HasSubstr("clean: none of 12 samples"));
  admin.forgotten.set_clean(false);
  admin.forgotten.set_found(1);
  v1::Remnant& remnant = *admin.forgotten.add_remnants();
  remnant.set_session("namespaces/default/sessions/chat");
  remnant.set_seq_begin(17);
  remnant.set_file("000012.log");
  remnant.set_offset(4096);
  const auto dirty = admin.Run({"verify", "--forgotten"});
  EXPECT_EQ(dirty.code, kExitNotClean);
  EXPECT_THAT(dirty.out,
              HasSubstr("000012.log at byte 4096: chat from token 17"));
  EXPECT_THAT(dirty.out, HasSubstr("mneme compact"));
  EXPECT_EQ(admin.Run({"verify", "--forgotten", "-o", "json"}).code,
            kExitNotClean);
}

TEST(UpkeepCommand, ForgottenBytesInASnapshotAreNotClean) {
  FakeAdmin admin;
  admin.forgotten.set_clean(true);
  admin.forgotten.add_snapshots()->set_snapshot("old");
  const auto ran = admin.Run({"verify", "--forgotten"});
  EXPECT_EQ(ran.code, kExitNotClean);
  EXPECT_THAT(ran.out, HasSubstr("mneme snapshot delete old"));
}

TEST(UpkeepCommand, ForgottenGoesWithNoSession) {
  FakeAdmin admin;
  EXPECT_EQ(admin.Run({"verify", "--forgotten", "chat"}).code, kExitUsage);
  EXPECT_EQ(admin.Run({"verify", "--forgotten", "--all"}).code, kExitUsage);
}

TEST(UpkeepCommand, TheDoctorFailsOnErrorsOnly) {
  FakeAdmin admin;
  v1::Finding& finding = *admin.diagnosis.add_findings();
  finding.set_severity(v1::Finding::SEVERITY_WARNING);
  finding.set_subject("disk");
  finding.set_detail("it is nearly full");
  finding.set_advice("make room");
  const auto warned = admin.Run({"doctor"});
  EXPECT_EQ(warned.code, kExitOk);
  EXPECT_THAT(warned.out, HasSubstr("warning  disk"));
  EXPECT_THAT(warned.out, HasSubstr("-> make room"));
  finding.set_severity(v1::Finding::SEVERITY_ERROR);
  EXPECT_EQ(admin.Run({"doctor"}).code, kExitNotClean);
}

TEST(UpkeepCommand, AServerThatDoesNotAnswerIsAFinding) {
  const auto ran =
      testing::RunWithHooks({"doctor", "--server", "127.0.0.1:1"}, {});
  EXPECT_EQ(ran.code, kExitNotClean);
  EXPECT_THAT(ran.out, HasSubstr("no server answers at 127.0.0.1:1"));
  EXPECT_THAT(ran.out, HasSubstr("mneme serve"));
}

TEST(UpkeepCommand, TheDoctorSaysWhichTokenItNeeds) {
  const ServerHooks hooks = {
      .serve = nullptr,
      .open = [](const std::string&, bool) -> absl::StatusOr<EmbeddedServer> {
        return base::Error(absl::StatusCode::kPermissionDenied,
                           "\"alice\" may not", {.reason = "SCOPE_MISSING"});
      },
      .restore = nullptr};
  const auto ran = testing::RunWithHooks({"doctor", "--data", "d"}, hooks);
  EXPECT_EQ(ran.code, kExitRefused);
  EXPECT_EQ(ran.out, "");
  EXPECT_THAT(ran.err, HasSubstr("\"alice\" may not. Use a token"));
  EXPECT_THAT(ran.err, HasSubstr("*:admin"));
}

TEST(UpkeepCommand, ADirectoryThatDoesNotOpenIsAFindingWithAdvice) {
  for (const char* reason :
       {"DATA_DIR_IN_USE", "DATA_DIR_MISSING", "DATA_DIR_UNWRITABLE",
        "DATA_DIR_IS_SNAPSHOT", "RESTORE_UNFINISHED", "FORMAT_TOO_NEW",
        "STORE_CORRUPT", "RECORD_CORRUPT", "DISK_FULL"}) {
    const ServerHooks hooks = {
        .serve = nullptr,
        .open = [&](const std::string&,
                    bool) -> absl::StatusOr<EmbeddedServer> {
          return base::Error(absl::StatusCode::kFailedPrecondition,
                             "it is shut", {.reason = reason});
        },
        .restore = nullptr};
    const auto ran = testing::RunWithHooks({"doctor", "--data", "d"}, hooks);
    EXPECT_EQ(ran.code, kExitNotClean) << reason;
    EXPECT_THAT(ran.out, HasSubstr("it is shut"));
    EXPECT_THAT(ran.out, ::testing::Not(HasSubstr("server's log"))) << reason;
  }
}

}  // namespace
}  // namespace mneme::client
