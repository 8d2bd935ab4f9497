// client/client.h: Mneme from C++: values in, StatusOr out.
// A thin, typed door to the wire: it names sessions, sets deadlines, turns
// grpc::Status into absl::Status with reasons, and retries what is safe to
// retry. Messages are the wire's own (proto/mneme/v1).

#ifndef MNEME_CLIENT_CLIENT_H_
#define MNEME_CLIENT_CLIENT_H_

#include <grpcpp/channel.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "client/credentials.h"
#include "mneme/v1/admin_service.grpc.pb.h"
#include "mneme/v1/memory_service.grpc.pb.h"
#include "mneme/v1/transfer_service.grpc.pb.h"

namespace mneme::client {

struct ClientOptions {
  // Per call. Verify and Forget of large sessions may need more.
  std::chrono::milliseconds deadline = std::chrono::seconds(120);
  // Tries of a call that is safe to repeat (reads; appends with a request id)
  // after UNAVAILABLE or a RESOURCE_EXHAUSTED that carries RetryInfo, with
  // exponential back-off that starts at the larger of 50 ms and RetryInfo.
  int attempts = 4;
  // Of every call: the caller's span, as base/trace_parent.h shows it; or
  // empty.
  std::string traceparent = {};
  // Told why before each pause between two tries, on the caller's thread.
  std::function<void(const absl::Status&)> on_retry = {};
};

// Channel to "host:port" or "unix:/path", with the message limits and keepalive
// that the server expects.
std::shared_ptr<grpc::Channel> Connect(const std::string& address);

// The same with TLS and a token for every call, also for those of a stub.
// Errors:   INVALID_ARGUMENT for an address, or a file, that cannot be used;
//           FAILED_PRECONDITION PLAINTEXT_TOKEN. Whether the server takes them,
//           its answers say.
absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(
    const std::string& address, const Credentials& credentials);

// "s1" or "ns/s1" or a full name -> "namespaces/default/sessions/s1" etc.
// Names are not validated here; the server says what is wrong with them.
std::string SessionName(std::string_view short_name);

// Threads: any; calls may run at once.
class Client {
 public:
  explicit Client(std::shared_ptr<grpc::Channel> channel,
                  ClientOptions options = {});

  // Errors: the server's status, with base::DetailOf; DEADLINE_EXCEEDED and
  // UNAVAILABLE when it does not answer.
  absl::StatusOr<v1::AppendResponse> Append(const v1::AppendRequest& request);
  absl::StatusOr<v1::RecallResponse> Recall(const v1::RecallRequest& request);
  absl::StatusOr<v1::AttendResponse> Attend(const v1::AttendRequest& request);
  absl::StatusOr<v1::ForgetResponse> Forget(const v1::ForgetRequest& request);
  absl::StatusOr<v1::AssembleContextResponse> AssembleContext(
      const v1::AssembleContextRequest& request);
  absl::StatusOr<v1::Session> CreateSession(
      const v1::CreateSessionRequest& request);
  absl::StatusOr<v1::Session> GetSession(const std::string& name);
  absl::StatusOr<v1::ListSessionsResponse> ListSessions(
      const v1::ListSessionsRequest& request);
  absl::StatusOr<v1::Session> ForkSession(
      const v1::ForkSessionRequest& request);
  absl::StatusOr<v1::Session> UpdateSession(
      const v1::UpdateSessionRequest& request);
  absl::StatusOr<v1::DeleteSessionResponse> DeleteSession(
      const std::string& name);
  absl::StatusOr<v1::DeleteNamespaceResponse> DeleteNamespace(
      const std::string& parent);
  absl::StatusOr<v1::Operation> GetOperation(const std::string& name);
  absl::StatusOr<v1::CommitWindowResponse> CommitWindow(
      const v1::CommitWindowRequest& request);
  absl::StatusOr<v1::ReadTokensResponse> ReadTokens(
      const v1::ReadTokensRequest& request);
  absl::StatusOr<v1::ProfilePreset> GetProfile(const std::string& name);
  absl::StatusOr<v1::ListProfilesResponse> ListProfiles();
  // Without tensors while `known_version` is the present one; 0: none is known.
  absl::StatusOr<v1::GetCompressiveStateResponse> GetCompressiveState(
      const std::string& name, int layer, uint64_t known_version = 0);
  absl::StatusOr<v1::VerifyResponse> Verify(const std::string& name);
  absl::StatusOr<v1::StatsResponse> Stats(const std::string& name_or_empty);

  // Of the AdminService.
  absl::StatusOr<v1::CreateSnapshotResponse> CreateSnapshot(
      const v1::CreateSnapshotRequest& request);
  absl::StatusOr<v1::ListSnapshotsResponse> ListSnapshots();
  absl::Status DeleteSnapshot(const v1::DeleteSnapshotRequest& request);
  absl::StatusOr<v1::CompactResponse> Compact();
  absl::StatusOr<v1::VerifyForgottenResponse> VerifyForgotten();
  absl::StatusOr<v1::DiagnoseResponse> Diagnose();

  v1::MemoryService::StubInterface& stub() { return *stub_; }
  v1::TransferService::StubInterface& transfer() { return *transfer_; }
  // Gives a call its deadline and trace parent.
  void Prepare(grpc::ClientContext& context) const;

 private:
  std::unique_ptr<v1::MemoryService::Stub> stub_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
  std::unique_ptr<v1::TransferService::Stub> transfer_;
  ClientOptions options_;
};

}  // namespace mneme::client

#endif  // MNEME_CLIENT_CLIENT_H_
