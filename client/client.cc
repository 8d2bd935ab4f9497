#include "client/client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/client_interceptor.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/pem.h"
#include "base/status_macros.h"
#include "client/address.h"
#include "proto/status.h"

namespace mneme::client {
namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Raised from gRPC's 4 MiB: one layer of keys and values is larger. The server
// has its own limit for what it accepts, and says so.
constexpr int kMessageBytesMax = 64 << 20;
// A dead connection is noticed within a minute even while nothing is sent.
constexpr int kKeepaliveMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 20'000;
// Shorter than gRPC's 1 s, so that a retry finds a server that just restarted.
constexpr int kReconnectMs = 50;
constexpr int kReconnectMaxMs = 2'000;
// What gRPC names the least back-off is how long it tries to connect: a server
// on a busy machine needs more than a moment to shake hands.
constexpr int kConnectMs = 5'000;

constexpr milliseconds kBackoffFirst{50};
constexpr milliseconds kBackoffMax{5'000};

bool MayRetry(const absl::Status& status) {
  return absl::IsUnavailable(status) ||
         (absl::IsResourceExhausted(status) &&
          base::DetailOf(status).retry_after.has_value());
}

// A server that is shutting down ends calls it no longer takes with CANCELLED.
// Nobody here cancels, so it only means that the server is away.
absl::Status AwayIfCancelled(const absl::Status& status) {
  if (!absl::IsCancelled(status)) return status;
  return absl::UnavailableError("the server is shutting down");
}

void AddTraceParent(const ClientOptions& options,
                    grpc::ClientContext& context) {
  if (!options.traceparent.empty()) {
    context.AddMetadata("traceparent", options.traceparent);
  }
}

// Calls until it succeeds, may not be retried, or there is no time or try left;
// the deadline covers all tries together.
template <typename Stub, typename Response, typename Request>
absl::StatusOr<Response> Call(Stub& stub, const ClientOptions& options,
                              bool repeatable,
                              grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                           const Request&,
                                                           Response*),
                              const Request& request) {
  const auto wall_deadline =
      std::chrono::system_clock::now() + options.deadline;
  const auto deadline = SteadyClock::now() + options.deadline;
  const int attempts = repeatable ? options.attempts : 1;
  milliseconds backoff = kBackoffFirst;
  for (int attempt = 1;; ++attempt) {
    grpc::ClientContext context;
    context.set_deadline(wall_deadline);
    AddTraceParent(options, context);
    Response response;
    const absl::Status status = AwayIfCancelled(
        proto::FromGrpc((stub.*method)(&context, request, &response)));
    if (status.ok()) return response;
    if (attempt >= attempts || !MayRetry(status)) return status;
    const milliseconds pause = std::max(
        backoff, base::DetailOf(status).retry_after.value_or(milliseconds(0)));
    if (SteadyClock::now() + pause >= deadline) return status;
    if (options.on_retry) options.on_retry(status);
    std::this_thread::sleep_for(pause);
    backoff = std::min(2 * backoff, kBackoffMax);
  }
}

// Puts the token on every call of a channel. gRPC's own call credentials refuse
// channels without TLS, also on the loopback; CheckNotOverheard knows better.
class TokenInterceptor final : public grpc::experimental::Interceptor {
 public:
  explicit TokenInterceptor(const std::string& header) : header_(header) {}
  void Intercept(grpc::experimental::InterceptorBatchMethods* call) override {
    if (call->QueryInterceptionHookPoint(
            grpc::experimental::InterceptionHookPoints::
                PRE_SEND_INITIAL_METADATA)) {
      call->GetSendInitialMetadata()->emplace("authorization", header_);
    }
    call->Proceed();
  }

 private:
  const std::string& header_;  // Its factory's.
};

using InterceptorFactory =
    grpc::experimental::ClientInterceptorFactoryInterface;

class TokenFactory final : public InterceptorFactory {
 public:
  explicit TokenFactory(const std::string& token)
      : header_("Bearer " + token) {}
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo*) override {
    return new TokenInterceptor(header_);
  }

 private:
  const std::string header_;
};

absl::StatusOr<std::string> ReadPem(const std::string& path,
                                    const char* field) {
  if (path.empty()) return std::string();
  std::ifstream file(path, std::ios::binary);
  std::string pem{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad()) {
    return base::InvalidField(field, base::Quoted(path),
                              "a PEM file that can be read");
  }
  return pem;
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> TransportOf(
    const Credentials& credentials) {
  if (!credentials.uses_tls()) return grpc::InsecureChannelCredentials();
  if (credentials.cert_file.empty() != credentials.key_file.empty()) {
    return base::InvalidField(
        credentials.key_file.empty() ? "tls_key" : "tls_cert", "nothing",
        "both a certificate and its key");
  }
  // gRPC would log what it thinks of them, and say that nobody answers.
  if (!credentials.ca_file.empty()) {
    RETURN_IF_ERROR(
        base::ReadCertificate("tls_ca", credentials.ca_file).status());
  }
  if (!credentials.cert_file.empty()) {
    RETURN_IF_ERROR(base::CheckKeyPair("tls_cert", credentials.cert_file,
                                       "tls_key", credentials.key_file));
  }
  grpc::SslCredentialsOptions options;
  ASSIGN_OR_RETURN(options.pem_root_certs,
                   ReadPem(credentials.ca_file, "tls_ca"));
  ASSIGN_OR_RETURN(options.pem_cert_chain,
                   ReadPem(credentials.cert_file, "tls_cert"));
  ASSIGN_OR_RETURN(options.pem_private_key,
                   ReadPem(credentials.key_file, "tls_key"));
  return grpc::SslCredentials(options);
}

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
  arguments.SetMaxSendMessageSize(kMessageBytesMax);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMaxMs);
  // Retries are ours alone (Call); gRPC's would multiply them.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return arguments;
}

template <typename Response>
absl::StatusOr<v1::Session> SessionOf(absl::StatusOr<Response> response) {
  if (!response.ok()) return response.status();
  return std::move(*response->mutable_session());
}

}  // namespace

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(),
                                   Arguments());
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(
    const std::string& address, const Credentials& credentials) {
  RETURN_IF_ERROR(CheckAddress(address));
  RETURN_IF_ERROR(CheckNotOverheard(credentials, address));
  ASSIGN_OR_RETURN(const std::string token, TokenOf(credentials));
  ASSIGN_OR_RETURN(const auto transport, TransportOf(credentials));
  std::vector<std::unique_ptr<InterceptorFactory>> interceptors;
  if (!token.empty()) {
    interceptors.push_back(std::make_unique<TokenFactory>(token));
  }
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      address, transport, Arguments(), std::move(interceptors));
}

std::string SessionName(std::string_view short_name) {
  std::string name(short_name);
  if (name.rfind("namespaces/", 0) == 0) return name;
  const size_t slash = name.find('/');
  if (slash == std::string::npos) {
    return "namespaces/default/sessions/" + name;
  }
  return "namespaces/" + name.substr(0, slash) + "/sessions/" +
         name.substr(slash + 1);
}

Client::Client(std::shared_ptr<grpc::Channel> channel, ClientOptions options)
    : stub_(v1::MemoryService::NewStub(channel)),
      admin_(v1::AdminService::NewStub(channel)),
      transfer_(v1::TransferService::NewStub(channel)),
      options_(std::move(options)) {}

void Client::Prepare(grpc::ClientContext& context) const {
  context.set_deadline(std::chrono::system_clock::now() + options_.deadline);
  AddTraceParent(options_, context);
}

absl::StatusOr<v1::AppendResponse> Client::Append(
    const v1::AppendRequest& request) {
  const bool repeatable = !request.request_id().empty();
  return Call(*stub_, options_, repeatable, &v1::MemoryService::Stub::Append,
              request);
}

absl::StatusOr<v1::RecallResponse> Client::Recall(
    const v1::RecallRequest& request) {
  return Call(*stub_, options_, true, &v1::MemoryService::Stub::Recall,
              request);
}

absl::StatusOr<v1::AttendResponse> Client::Attend(
    const v1::AttendRequest& request) {
  return Call(*stub_, options_, true, &v1::MemoryService::Stub::Attend,
              request);
}

absl::StatusOr<v1::ForgetResponse> Client::Forget(
    const v1::ForgetRequest& request) {
  return Call(*stub_, options_, false, &v1::MemoryService::Stub::Forget,
              request);
}

absl::StatusOr<v1::AssembleContextResponse> Client::AssembleContext(
    const v1::AssembleContextRequest& request) {
  return Call(*stub_, options_, true, &v1::MemoryService::Stub::AssembleContext,
              request);
}

absl::StatusOr<v1::Session> Client::CreateSession(
    const v1::CreateSessionRequest& request) {
  return SessionOf(Call(*stub_, options_, false,
                        &v1::MemoryService::Stub::CreateSession, request));
}

absl::StatusOr<v1::Session> Client::GetSession(const std::string& name) {
  v1::GetSessionRequest request;
  request.set_session(name);
  return SessionOf(Call(*stub_, options_, true,
                        &v1::MemoryService::Stub::GetSession, request));
}

absl::StatusOr<v1::ListSessionsResponse> Client::ListSessions(
    const v1::ListSessionsRequest& request) {
  return Call(*stub_, options_, true, &v1::MemoryService::Stub::ListSessions,
              request);
}

absl::StatusOr<v1::Session> Client::ForkSession(
    const v1::ForkSessionRequest& request) {
  return SessionOf(Call(*stub_, options_, false,
                        &v1::MemoryService::Stub::ForkSession, request));
}

absl::StatusOr<v1::Session> Client::UpdateSession(
    const v1::UpdateSessionRequest& request) {
  return SessionOf(Call(*stub_, options_, true,
                        &v1::MemoryService::Stub::UpdateSession, request));
}

absl::StatusOr<v1::DeleteSessionResponse> Client::DeleteSession(
    const std::string& name) {
  v1::DeleteSessionRequest request;
  request.set_session(name);
  return Call(*stub_, options_, false, &v1::MemoryService::Stub::DeleteSession,
              request);
}

absl::StatusOr<v1::DeleteNamespaceResponse> Client::DeleteNamespace(
    const std::string& parent) {
  v1::DeleteNamespaceRequest request;
  request.set_parent(parent);
  return Call(*stub_, options_, true, &v1::MemoryService::Stub::DeleteNamespace,
              request);
}

absl::StatusOr<v1::Operation> Client::GetOperation(const std::string& name) {
  v1::GetOperationRequest request;
  request.set_name(name);
  ASSIGN_OR_RETURN(v1::GetOperationResponse response,
                   Call(*stub_, options_, true,
                        &v1::MemoryService::Stub::GetOperation, request));
  return std::move(*response.mutable_operation());
}

// Not repeated: between two tries others may append, and would be committed.
absl::StatusOr<v1::CommitWindowResponse> Client::CommitWindow(
    const v1::CommitWindowRequest& request) {
  return Call(*stub_, options_, request.has_expected_seq(),
              &v1::MemoryService::Stub::CommitWindow, request);
}

absl::StatusOr<v1::ReadTokensResponse> Client::ReadTokens(
    const v1::ReadTokensRequest& request) {
  return Call(*stub_, options_, true, &v1::MemoryService::Stub::ReadTokens,
              request);
}

absl::StatusOr<v1::ProfilePreset> Client::GetProfile(const std::string& name) {
  v1::GetProfileRequest request;
  request.set_name(name);
  auto response = Call(*stub_, options_, true,
                       &v1::MemoryService::Stub::GetProfile, request);
  if (!response.ok()) return response.status();
  return std::move(*response->mutable_preset());
}

absl::StatusOr<v1::ListProfilesResponse> Client::ListProfiles() {
  return Call(*stub_, options_, true, &v1::MemoryService::Stub::ListProfiles,
              v1::ListProfilesRequest());
}

absl::StatusOr<v1::GetCompressiveStateResponse> Client::GetCompressiveState(
    const std::string& name, int layer, uint64_t known_version) {
  v1::GetCompressiveStateRequest request;
  request.set_session(name);
  request.set_layer(layer);
  request.set_known_version(known_version);
  return Call(*stub_, options_, true,
              &v1::MemoryService::Stub::GetCompressiveState, request);
}

absl::StatusOr<v1::VerifyResponse> Client::Verify(const std::string& name) {
  v1::VerifyRequest request;
  request.set_session(name);
  return Call(*stub_, options_, true, &v1::MemoryService::Stub::Verify,
              request);
}

absl::StatusOr<v1::StatsResponse> Client::Stats(
    const std::string& name_or_empty) {
  v1::StatsRequest request;
  request.set_session(name_or_empty);
  return Call(*stub_, options_, true, &v1::MemoryService::Stub::Stats, request);
}

absl::StatusOr<v1::CreateSnapshotResponse> Client::CreateSnapshot(
    const v1::CreateSnapshotRequest& request) {
  return Call(*admin_, options_, false, &v1::AdminService::Stub::CreateSnapshot,
              request);
}

absl::StatusOr<v1::ListSnapshotsResponse> Client::ListSnapshots() {
  return Call(*admin_, options_, true, &v1::AdminService::Stub::ListSnapshots,
              v1::ListSnapshotsRequest());
}

absl::Status Client::DeleteSnapshot(const v1::DeleteSnapshotRequest& request) {
  return Call(*admin_, options_, false, &v1::AdminService::Stub::DeleteSnapshot,
              request)
      .status();
}

absl::StatusOr<v1::CompactResponse> Client::Compact() {
  return Call(*admin_, options_, false, &v1::AdminService::Stub::Compact,
              v1::CompactRequest());
}

absl::StatusOr<v1::VerifyForgottenResponse> Client::VerifyForgotten() {
  return Call(*admin_, options_, true, &v1::AdminService::Stub::VerifyForgotten,
              v1::VerifyForgottenRequest());
}

absl::StatusOr<v1::DiagnoseResponse> Client::Diagnose() {
  return Call(*admin_, options_, true, &v1::AdminService::Stub::Diagnose,
              v1::DiagnoseRequest());
}

}  // namespace mneme::client
