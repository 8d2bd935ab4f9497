// tests/client/fake_admin.h: an AdminService whose answers a test writes.

#ifndef MNEME_TESTS_CLIENT_FAKE_ADMIN_H_
#define MNEME_TESTS_CLIENT_FAKE_ADMIN_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mneme/v1/admin_service.grpc.pb.h"
#include "proto/status.h"
#include "tests/client/command_line.h"

namespace mneme::testing {

// Threads: one call at a time; a test looks at it between calls.
class FakeAdmin final : public v1::AdminService::Service {
 public:
  FakeAdmin() {
    grpc::ServerBuilder builder;
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeAdmin() override { server_->Shutdown(); }

  // `mneme --data fake ARGUMENTS...`.
  Ran Run(std::vector<std::string> arguments) {
    const client::ServerHooks hooks = {
        .serve = nullptr,
        .open = [this](const std::string&,
                       bool) -> absl::StatusOr<client::EmbeddedServer> {
          return client::EmbeddedServer{
              server_->InProcessChannel(grpc::ChannelArguments()), nullptr};
        },
        .restore =
            [this](const std::string& snapshot, const std::string& data_dir) {
              restored = {snapshot, data_dir};
              return failure;
            }};
    arguments.insert(arguments.begin(), {"--data", "fake"});
    return RunWithHooks(arguments, hooks);
  }

  absl::Status failure;  // What every call says.
  v1::CreateSnapshotRequest create_request;
  v1::DeleteSnapshotRequest delete_request;
  v1::ListSnapshotsResponse snapshots;
  v1::CompactResponse compact_response;
  v1::VerifyForgottenResponse forgotten;
  v1::DiagnoseResponse diagnosis;
  std::pair<std::string, std::string> restored;  // Snapshot, data directory.

  grpc::Status CreateSnapshot(grpc::ServerContext*,
                              const v1::CreateSnapshotRequest* request,
                              v1::CreateSnapshotResponse* response) override {
    create_request = *request;
    response->mutable_snapshot()->set_name("made");
    response->mutable_snapshot()->set_directory("/snapshots/made");
    response->mutable_snapshot()->set_bytes(2'000'000);
    return proto::ToGrpc(failure);
  }
  grpc::Status ListSnapshots(grpc::ServerContext*,
                             const v1::ListSnapshotsRequest*,
                             v1::ListSnapshotsResponse* response) override {
    *response = snapshots;
    return proto::ToGrpc(failure);
  }
  grpc::Status DeleteSnapshot(grpc::ServerContext*,
                              const v1::DeleteSnapshotRequest* request,
                              v1::DeleteSnapshotResponse*) override {
    delete_request = *request;
    return proto::ToGrpc(failure);
  }
  grpc::Status Compact(grpc::ServerContext*, const v1::CompactRequest*,
                       v1::CompactResponse* response) override {
    *response = compact_response;
    return proto::ToGrpc(failure);
  }

  grpc::Status VerifyForgotten(grpc::ServerContext*,
                               const v1::VerifyForgottenRequest*,
                               v1::VerifyForgottenResponse* response) override {
    *response = forgotten;
    return proto::ToGrpc(failure);
  }
  grpc::Status Diagnose(grpc::ServerContext*, const v1::DiagnoseRequest*,
                        v1::DiagnoseResponse* response) override {
    *response = diagnosis;
    return proto::ToGrpc(failure);
  }

 private:
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace mneme::testing

#endif  // MNEME_TESTS_CLIENT_FAKE_ADMIN_H_
