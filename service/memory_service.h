// service/memory_service.h: the methods of mneme.v1.MemoryService.
// A method converts, calls, converts; what surrounds every method is the
// door's.

#ifndef MNEME_SERVICE_MEMORY_SERVICE_H_
#define MNEME_SERVICE_MEMORY_SERVICE_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "memory/memory.h"
#include "mneme/v1/memory_service.grpc.pb.h"
#include "service/attend_stream.h"
#include "service/door.h"
#include "service/metrics.h"

namespace mneme::service {

// Threads:  any.
class MemoryService final : public v1::MemoryService::CallbackService {
 public:
  // Of a decode loop each: an idle one costs some kilobytes, one at work at
  // most two messages.
  static constexpr size_t kStreamsMax = 1024;
  static constexpr int kPageSizeDefault = 100;
  static constexpr int kPageSizeMax = 1000;

  // Lifetime: all five outlive the service.
  MemoryService(memory::Memory* memory, Door* door, Metrics* metrics,
                Limits* limits, const base::Clock* clock);

  // Ends the streams: see OpenStreams::Drain.
  void Drain() { streams_.Drain(); }

  size_t open_streams() const { return streams_.size(); }

  // See OpenStreams::EndIdle.
  void EndIdleStreams(std::chrono::steady_clock::duration idle) {
    streams_.EndIdle(idle);
  }

  grpc::ServerUnaryReactor* Append(grpc::CallbackServerContext* context,
                                   const v1::AppendRequest* request,
                                   v1::AppendResponse* response) override;
  grpc::ServerUnaryReactor* Recall(grpc::CallbackServerContext* context,
                                   const v1::RecallRequest* request,
                                   v1::RecallResponse* response) override;
  grpc::ServerUnaryReactor* Attend(grpc::CallbackServerContext* context,
                                   const v1::AttendRequest* request,
                                   v1::AttendResponse* response) override;
  grpc::ServerBidiReactor<v1::AttendStreamRequest, v1::AttendStreamResponse>*
  AttendStream(grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* Forget(grpc::CallbackServerContext* context,
                                   const v1::ForgetRequest* request,
                                   v1::ForgetResponse* response) override;
  grpc::ServerUnaryReactor* AssembleContext(
      grpc::CallbackServerContext* context,
      const v1::AssembleContextRequest* request,
      v1::AssembleContextResponse* response) override;
  grpc::ServerUnaryReactor* CreateSession(
      grpc::CallbackServerContext* context,
      const v1::CreateSessionRequest* request,
      v1::CreateSessionResponse* response) override;
  grpc::ServerUnaryReactor* ForkSession(
      grpc::CallbackServerContext* context,
      const v1::ForkSessionRequest* request,
      v1::ForkSessionResponse* response) override;
  grpc::ServerUnaryReactor* UpdateSession(
      grpc::CallbackServerContext* context,
      const v1::UpdateSessionRequest* request,
      v1::UpdateSessionResponse* response) override;
  grpc::ServerUnaryReactor* DeleteNamespace(
      grpc::CallbackServerContext* context,
      const v1::DeleteNamespaceRequest* request,
      v1::DeleteNamespaceResponse* response) override;
  grpc::ServerUnaryReactor* GetOperation(
      grpc::CallbackServerContext* context,
      const v1::GetOperationRequest* request,
      v1::GetOperationResponse* response) override;
  grpc::ServerUnaryReactor* GetSession(
      grpc::CallbackServerContext* context,
      const v1::GetSessionRequest* request,
      v1::GetSessionResponse* response) override;
  // A session that cannot be opened is listed by its name alone, so that one
  // damaged session does not hide the others.
  grpc::ServerUnaryReactor* ListSessions(
      grpc::CallbackServerContext* context,
      const v1::ListSessionsRequest* request,
      v1::ListSessionsResponse* response) override;
  grpc::ServerUnaryReactor* DeleteSession(
      grpc::CallbackServerContext* context,
      const v1::DeleteSessionRequest* request,
      v1::DeleteSessionResponse* response) override;
  grpc::ServerUnaryReactor* GetCompressiveState(
      grpc::CallbackServerContext* context,
      const v1::GetCompressiveStateRequest* request,
      v1::GetCompressiveStateResponse* response) override;
  grpc::ServerUnaryReactor* CommitWindow(
      grpc::CallbackServerContext* context,
      const v1::CommitWindowRequest* request,
      v1::CommitWindowResponse* response) override;
  grpc::ServerUnaryReactor* ReadTokens(
      grpc::CallbackServerContext* context,
      const v1::ReadTokensRequest* request,
      v1::ReadTokensResponse* response) override;
  grpc::ServerUnaryReactor* GetProfile(
      grpc::CallbackServerContext* context,
      const v1::GetProfileRequest* request,
      v1::GetProfileResponse* response) override;
  grpc::ServerUnaryReactor* ListProfiles(
      grpc::CallbackServerContext* context,
      const v1::ListProfilesRequest* request,
      v1::ListProfilesResponse* response) override;
  grpc::ServerUnaryReactor* Verify(grpc::CallbackServerContext* context,
                                   const v1::VerifyRequest* request,
                                   v1::VerifyResponse* response) override;
  grpc::ServerUnaryReactor* Stats(grpc::CallbackServerContext* context,
                                  const v1::StatsRequest* request,
                                  v1::StatsResponse* response) override;

 private:
  absl::StatusOr<std::shared_ptr<memory::Session>> Find(
      const std::string& name) const;
  // What Append and Attend share with the steps of a stream.
  absl::Status ForkTo(const v1::ForkSessionRequest& request,
                      v1::Session* fork) const;
  absl::Status AppendTo(const v1::AppendRequest& request,
                        const memory::Cancelled& cancelled,
                        v1::AppendResponse* response) const;
  absl::Status AttendOver(const v1::AttendRequest& request,
                          v1::AttendResponse* response,
                          const memory::Cancelled& cancelled) const;
  // `exists`, with the first setting in which the living session differs.
  absl::Status ExistsWith(const memory::SessionName& name,
                          const memory::Profile& given,
                          const absl::Status& exists) const;
  absl::Status List(const v1::ListSessionsRequest& request,
                    v1::ListSessionsResponse* response,
                    const memory::Cancelled& cancelled) const;
  void SetServerStats(v1::ServerStats* stats) const;

  memory::Memory* const memory_;
  Door* const door_;
  Metrics* const metrics_;
  Limits* const limits_;
  const base::Clock* const clock_;
  const std::chrono::steady_clock::time_point started_;
  OpenStreams streams_;
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_MEMORY_SERVICE_H_
