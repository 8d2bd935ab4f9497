#include "service/admin_service.h"

#include <grpcpp/grpcpp.h>

#include <filesystem>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "gtest/gtest.h"
#include "memory/rocks_store.h"
#include "proto/status.h"
#include "service/convert_admin.h"
#include "service/offline.h"
#include "service/server.h"
#include "tests/client/temporary_dir.h"
#include "tests/testing/map_store.h"

namespace mneme::service {
namespace {

class AdminServiceTest : public ::testing::Test {
 protected:
  AdminServiceTest() { Start(SnapshotsDirOf(dir_.Path("data"))); }

  void Start(const std::string& snapshots_dir) {
    stub_.reset();
    server_.reset();
    auto store = memory::OpenRocksStore(dir_.Path("data"));
    ASSERT_TRUE(store.ok()) << store.status();
    auto server = Server::Start(
        *std::move(store),
        {.data_dir = dir_.Path("data"), .snapshots_dir = snapshots_dir},
        &clock_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = v1::AdminService::NewStub(server_->InProcessChannel());
  }

  template <typename Request, typename Response>
  absl::Status Ask(grpc::Status (v1::AdminService::Stub::*method)(
                       grpc::ClientContext*, const Request&, Response*),
                   const Request& request, Response* response) {
    grpc::ClientContext context;
    return proto::FromGrpc((*stub_.*method)(&context, request, response));
  }

  absl::Status Create(const std::string& name) {
    v1::CreateSnapshotRequest request;
    request.set_name(name);
    return Ask(&v1::AdminService::Stub::CreateSnapshot, request, &created_);
  }
  absl::Status Delete(const std::string& name) {
    v1::DeleteSnapshotRequest request;
    request.set_name(name);
    v1::DeleteSnapshotResponse response;
    return Ask(&v1::AdminService::Stub::DeleteSnapshot, request, &response);
  }
  v1::ListSnapshotsResponse List() {
    v1::ListSnapshotsResponse response;
    const absl::Status listed = Ask(&v1::AdminService::Stub::ListSnapshots,
                                    v1::ListSnapshotsRequest(), &response);
    EXPECT_TRUE(listed.ok()) << listed;
    return response;
  }

  const testing::TemporaryDir dir_;
  const base::RealClock clock_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::AdminService::Stub> stub_;
  v1::CreateSnapshotResponse created_;
};

TEST_F(AdminServiceTest, ASnapshotIsMadeBesideTheDataAndDeleted) {
  ASSERT_TRUE(Create("b").ok());
  EXPECT_EQ(created_.snapshot().directory(), dir_.Path("data-snapshots/b"));
  EXPECT_GT(created_.snapshot().bytes(), 0u);
  EXPECT_GT(created_.snapshot().create_time().seconds(), 0);
  ASSERT_TRUE(Create("a").ok());
  ASSERT_EQ(List().snapshots_size(), 2);
  EXPECT_EQ(List().snapshots(0).name(), "a");
  ASSERT_TRUE(
      RestoreSnapshot(dir_.Path("data-snapshots/b"), dir_.Path("to")).ok());
  ASSERT_TRUE(Delete("b").ok());
  EXPECT_EQ(List().snapshots_size(), 1);
  EXPECT_EQ(base::DetailOf(Delete("b")).reason, "SNAPSHOT_NOT_FOUND");
}

TEST_F(AdminServiceTest, ANamelessSnapshotIsNamedByTheTime) {
  ASSERT_TRUE(Create("").ok());
  const std::string name = created_.snapshot().name();
  EXPECT_EQ(name.size(), std::string("20240501-120000.250").size());
  EXPECT_EQ(name.substr(0, 2), "20");
  EXPECT_EQ(List().snapshots(0).name(), name);
}

TEST_F(AdminServiceTest, ABadNameIsRefusedAsAField) {
  const absl::Status refused = Create("../escape");
  EXPECT_TRUE(absl::IsInvalidArgument(refused));
  EXPECT_EQ(base::DetailOf(refused).field, "name");
}

TEST_F(AdminServiceTest, WithoutADirectoryNoSnapshotIsMade) {
  Start("");
  EXPECT_EQ(base::DetailOf(Create("a")).reason, "NO_SNAPSHOTS_DIR");
  EXPECT_EQ(base::DetailOf(Delete("a")).reason, "NO_SNAPSHOTS_DIR");
}

TEST_F(AdminServiceTest, CompactionSaysWhatItFreed) {
  v1::CompactResponse response;
  ASSERT_TRUE(
      Ask(&v1::AdminService::Stub::Compact, v1::CompactRequest(), &response)
          .ok());
  EXPECT_GT(response.bytes_before(), 0u);
  EXPECT_GT(response.bytes_after(), 0u);
}

TEST(Offline, SnapshotsLieBesideTheirDirectory) {
  EXPECT_EQ(SnapshotsDirOf("data"), "data-snapshots");
  EXPECT_EQ(SnapshotsDirOf("./data/"), "data-snapshots");
  EXPECT_EQ(SnapshotsDirOf("/var/lib/mneme//"), "/var/lib/mneme-snapshots");
  const std::string here =
      std::filesystem::current_path().string() + "-snapshots";
  EXPECT_EQ(SnapshotsDirOf("."), here);
}

}  // namespace
}  // namespace mneme::service
