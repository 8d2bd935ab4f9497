#include "service/admin_service.h"

#include <chrono>
#include <utility>

#include "absl/time/time.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "memory/keys.h"
#include "memory/remnants.h"
#include "service/convert_admin.h"
#include "service/diagnosis.h"

namespace mneme::service {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;
using memory::Cancelled;

// All of it is long work over the disk, and lets reads go first.
template <typename Request, typename Response>
Call CallOf(std::string_view method, const Request* request,
            const Response* response) {
  return {.method = method,
          .session = "",
          .priority = Executor::Priority::kWrite,
          .request = request,
          .response = response};
}

// "20240501-120000.250", in UTC: names sort by time.
std::string NameOfTime(std::chrono::system_clock::time_point now) {
  return absl::FormatTime("%Y%m%d-%H%M%E3S", absl::FromChrono(now),
                          absl::UTCTimeZone());
}

}  // namespace

AdminService::AdminService(memory::Memory* memory, Door* door,
                           const base::Clock* clock, Place place)
    : memory_(memory),
      door_(door),
      clock_(clock),
      place_(std::move(place)),
      snapshots_(place_.snapshots_dir) {}

ServerUnaryReactor* AdminService::CreateSnapshot(
    CallbackServerContext* context, const v1::CreateSnapshotRequest* request,
    v1::CreateSnapshotResponse* response) {
  return door_->Serve(context, CallOf("CreateSnapshot", request, response),
                      [=, this](const Cancelled&) {
                        return MakeSnapshot(request->name(), response);
                      });
}

ServerUnaryReactor* AdminService::ListSnapshots(
    CallbackServerContext* context, const v1::ListSnapshotsRequest* request,
    v1::ListSnapshotsResponse* response) {
  return door_->Serve(context, CallOf("ListSnapshots", request, response),
                      [=, this](const Cancelled&) -> absl::Status {
                        RETURN_IF_ERROR(CheckSnapshotsDir());
                        base::MutexLock lock(&snapshots_mutex_);
                        ASSIGN_OR_RETURN(const auto snapshots,
                                         snapshots_.List());
                        for (const memory::Snapshot& snapshot : snapshots) {
                          SetSnapshot(snapshot, response->add_snapshots());
                        }
                        return absl::OkStatus();
                      });
}

ServerUnaryReactor* AdminService::DeleteSnapshot(
    CallbackServerContext* context, const v1::DeleteSnapshotRequest* request,
    v1::DeleteSnapshotResponse* response) {
  return door_->Serve(context, CallOf("DeleteSnapshot", request, response),
                      [=, this](const Cancelled&) -> absl::Status {
                        RETURN_IF_ERROR(CheckSnapshotsDir());
                        base::MutexLock lock(&snapshots_mutex_);
                        return snapshots_.Delete(request->name());
                      });
}

ServerUnaryReactor* AdminService::Compact(CallbackServerContext* context,
                                          const v1::CompactRequest* request,
                                          v1::CompactResponse* response) {
  return door_->Serve(
      context, CallOf("Compact", request, response),
      [=, this](const Cancelled&) -> absl::Status {
        memory::Store& store = memory_->store();
        const memory::KeyRange everything = memory::Everything();
        response->set_bytes_before(store.ApproximateBytes());
        RETURN_IF_ERROR(store.Compact(everything.first, everything.second));
        response->set_bytes_after(store.ApproximateBytes());
        return absl::OkStatus();
      });
}

ServerUnaryReactor* AdminService::VerifyForgotten(
    CallbackServerContext* context, const v1::VerifyForgottenRequest* request,
    v1::VerifyForgottenResponse* response) {
  return door_->Serve(context, CallOf("VerifyForgotten", request, response),
                      [=, this](const Cancelled& cancelled) {
                        return SearchForgotten(cancelled, response);
                      });
}

ServerUnaryReactor* AdminService::Diagnose(CallbackServerContext* context,
                                           const v1::DiagnoseRequest* request,
                                           v1::DiagnoseResponse* response) {
  return door_->Serve(
      context, CallOf("Diagnose", request, response),
      [=, this](const Cancelled& cancelled) -> absl::Status {
        ASSIGN_OR_RETURN(*response,
                         service::Diagnose({.memory = memory_,
                                            .data_dir = place_.data_dir,
                                            .snapshots = ListOfSnapshots(),
                                            .now = clock_->Now(),
                                            .open_to_all = place_.open_to_all},
                                           cancelled));
        return absl::OkStatus();
      });
}

absl::Status AdminService::SearchForgotten(
    const Cancelled& cancelled, v1::VerifyForgottenResponse* response) {
  if (place_.data_dir.empty()) {
    return base::Error(absl::StatusCode::kFailedPrecondition,
                       "this server has no data directory to search",
                       {.reason = "NO_DATA_DIR"});
  }
  std::vector<memory::ForgottenSamples> samples;
  std::vector<memory::Probe> probes, remembered;
  uint64_t unsampled = 0;
  {
    // Let go before the files are read: it keeps deleted bytes alive.
    const auto frozen = memory_->store().Freeze();
    ASSIGN_OR_RETURN(samples, memory::ReadForgotten(*frozen));
    for (const memory::ForgottenSamples& sample : samples) {
      unsampled += sample.probes.empty() ? 1 : 0;
      probes.insert(probes.end(), sample.probes.begin(), sample.probes.end());
    }
    ASSIGN_OR_RETURN(remembered,
                     memory::StillRemembered(*frozen, probes, cancelled));
  }
  response->set_samples(memory::ProbeSet(probes).size() - remembered.size());
  response->set_still_remembered(remembered.size());
  response->set_unsampled(unsampled);
  ASSIGN_OR_RETURN(
      const memory::RemnantSearch search,
      memory::SearchRemnants(place_.data_dir, samples, remembered, cancelled));
  SetSearch(search, memory_->NamesByUid(), response);
  response->set_pending_operations(memory_->Count().pending_operations);
  ASSIGN_OR_RETURN(const auto snapshots, ListOfSnapshots());
  for (const memory::Snapshot& snapshot : snapshots) {
    ASSIGN_OR_RETURN(const memory::RemnantSearch inside,
                     memory::SearchRemnants(snapshot.directory, samples,
                                            remembered, cancelled));
    if (inside.found == 0) continue;
    v1::SnapshotRemnants& one = *response->add_snapshots();
    one.set_snapshot(snapshot.name);
    one.set_found(inside.found);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<memory::Snapshot>> AdminService::ListOfSnapshots() {
  if (place_.snapshots_dir.empty()) return std::vector<memory::Snapshot>();
  base::MutexLock lock(&snapshots_mutex_);
  return snapshots_.List();
}

absl::Status AdminService::MakeSnapshot(const std::string& name,
                                        v1::CreateSnapshotResponse* response) {
  RETURN_IF_ERROR(CheckSnapshotsDir());
  const auto now = clock_->Now();
  base::MutexLock lock(&snapshots_mutex_);
  ASSIGN_OR_RETURN(
      const memory::Snapshot snapshot,
      snapshots_.Create(memory_->store(), name.empty() ? NameOfTime(now) : name,
                        base::MicrosOf(now)));
  SetSnapshot(snapshot, response->mutable_snapshot());
  return absl::OkStatus();
}

absl::Status AdminService::CheckSnapshotsDir() const {
  if (!place_.snapshots_dir.empty()) return absl::OkStatus();
  return base::Error(absl::StatusCode::kFailedPrecondition,
                     "this server has no directory for snapshots; start it "
                     "with --snapshots DIR",
                     {.reason = "NO_SNAPSHOTS_DIR"});
}

}  // namespace mneme::service
