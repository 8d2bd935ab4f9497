// service/admin_service.h: the methods of mneme.v1.AdminService.

#ifndef MNEME_SERVICE_ADMIN_SERVICE_H_
#define MNEME_SERVICE_ADMIN_SERVICE_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "memory/memory.h"
#include "memory/snapshots.h"
#include "mneme/v1/admin_service.grpc.pb.h"
#include "service/door.h"

namespace mneme::service {

// Threads:  any; snapshots are made one at a time.
class AdminService final : public v1::AdminService::CallbackService {
 public:
  struct Place {
    std::string data_dir = "";       // Empty: its files cannot be searched.
    std::string snapshots_dir = "";  // Empty: no snapshots can be made.
    bool open_to_all = false;        // See Patient.
  };

  // Lifetime: all three outlive the service.
  AdminService(memory::Memory* memory, Door* door, const base::Clock* clock,
               Place place);

  grpc::ServerUnaryReactor* CreateSnapshot(
      grpc::CallbackServerContext* context,
      const v1::CreateSnapshotRequest* request,
      v1::CreateSnapshotResponse* response) override;
  grpc::ServerUnaryReactor* ListSnapshots(
      grpc::CallbackServerContext* context,
      const v1::ListSnapshotsRequest* request,
      v1::ListSnapshotsResponse* response) override;
  grpc::ServerUnaryReactor* DeleteSnapshot(
      grpc::CallbackServerContext* context,
      const v1::DeleteSnapshotRequest* request,
      v1::DeleteSnapshotResponse* response) override;
  grpc::ServerUnaryReactor* Compact(grpc::CallbackServerContext* context,
                                    const v1::CompactRequest* request,
                                    v1::CompactResponse* response) override;
  grpc::ServerUnaryReactor* VerifyForgotten(
      grpc::CallbackServerContext* context,
      const v1::VerifyForgottenRequest* request,
      v1::VerifyForgottenResponse* response) override;
  grpc::ServerUnaryReactor* Diagnose(grpc::CallbackServerContext* context,
                                     const v1::DiagnoseRequest* request,
                                     v1::DiagnoseResponse* response) override;

 private:
  absl::Status MakeSnapshot(const std::string& name,
                            v1::CreateSnapshotResponse* response);
  absl::Status SearchForgotten(const memory::Cancelled& cancelled,
                               v1::VerifyForgottenResponse* response);
  absl::StatusOr<std::vector<memory::Snapshot>> ListOfSnapshots();
  absl::Status CheckSnapshotsDir() const;

  memory::Memory* const memory_;
  Door* const door_;
  const base::Clock* const clock_;
  const Place place_;
  base::Mutex snapshots_mutex_;
  memory::Snapshots snapshots_ ABSL_GUARDED_BY(snapshots_mutex_);
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_ADMIN_SERVICE_H_
