#include "client/snapshot_command.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/fake_admin.h"

namespace mneme::client {
namespace {

using testing::FakeAdmin;
using ::testing::HasSubstr;
using testing::Ran;

TEST(SnapshotCommand, CreateSaysWhereItLies) {
  FakeAdmin admin;
  const Ran ran = admin.Run({"snapshot", "create", "before"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_EQ(admin.create_request.name(), "before");
  EXPECT_EQ(ran.out, "made made, 2.0 MB, in /snapshots/made\n");
  EXPECT_EQ(admin.Run({"snapshot", "create"}).code, kExitOk);
  EXPECT_EQ(admin.create_request.name(), "");
  const Ran json = admin.Run({"snapshot", "create", "-o", "json"});
  EXPECT_EQ(nlohmann::json::parse(json.out)["name"], "made");
}

TEST(SnapshotCommand, ListShowsNameTimeAndSize) {
  FakeAdmin admin;
  EXPECT_THAT(admin.Run({"snapshot", "list"}).err, HasSubstr("no snapshots"));
  v1::Snapshot& snapshot = *admin.snapshots.add_snapshots();
  snapshot.set_name("daily");
  snapshot.set_directory("/snapshots/daily");
  snapshot.set_bytes(1'500);
  snapshot.mutable_create_time()->set_seconds(1'714'564'800);
  const Ran ran = admin.Run({"snapshot", "list"});
  for (const char* word :
       {"daily", "2024-05-01 12:00:00 UTC", "1.5 kB", "/snapshots/daily"}) {
    EXPECT_THAT(ran.out, HasSubstr(word));
  }
  const Ran json = admin.Run({"snapshot", "list", "-o", "json"});
  EXPECT_EQ(nlohmann::json::parse(json.out)["snapshots"][0]["name"], "daily");
}

TEST(SnapshotCommand, DeleteNamesOne) {
  FakeAdmin admin;
  EXPECT_EQ(admin.Run({"snapshot", "delete", "daily"}).code, kExitOk);
  EXPECT_EQ(admin.delete_request.name(), "daily");
  EXPECT_EQ(admin.Run({"snapshot", "delete"}).code, kExitUsage);
  EXPECT_EQ(admin.Run({"snapshot"}).code, kExitUsage);
  admin.failure = base::Error(absl::StatusCode::kNotFound, "no such",
                              {.reason = "SNAPSHOT_NOT_FOUND"});
  EXPECT_EQ(admin.Run({"snapshot", "delete", "daily"}).code, kExitNotFound);
}

TEST(SnapshotCommand, RestoreNamesBothDirectories) {
  FakeAdmin admin;
  const Ran ran = admin.Run({"restore", "/snapshots/daily"});
  EXPECT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_EQ(admin.restored,
            (std::pair<std::string, std::string>{"/snapshots/daily", "fake"}));
  EXPECT_THAT(ran.out, HasSubstr("mneme serve --data fake"));
  admin.failure = base::Error(absl::StatusCode::kFailedPrecondition,
                              "not empty", {.reason = "DATA_DIR_NOT_EMPTY"});
  EXPECT_EQ(admin.Run({"restore", "/snapshots/daily"}).code, kExitRefused);
}

TEST(SnapshotCommand, RestoreNeedsADirectoryAndNoServer) {
  FakeAdmin admin;
  const Ran both = admin.Run({"restore", "x", "--server", "localhost:1"});
  EXPECT_EQ(both.code, kExitUsage);
  const Ran none = testing::RunWithHooks({"restore", "x"}, {});
  EXPECT_EQ(none.code, kExitUsage);
  EXPECT_THAT(none.err, HasSubstr("--data"));
}

}  // namespace
}  // namespace mneme::client
