// tests/client/fake_memory.h: a server without a memory, whose answers a test
// writes.

#ifndef MNEME_TESTS_CLIENT_FAKE_MEMORY_H_
#define MNEME_TESTS_CLIENT_FAKE_MEMORY_H_

#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/error.h"
#include "mneme/v1/memory_service.grpc.pb.h"
#include "proto/status.h"

namespace mneme::testing {

// Keeps sessions by name and every request it got. Fails as `failures` says,
// one for each call, OK for none, and then no more.
// Threads: one call at a time; a test looks at it between calls.
class FakeMemory final : public v1::MemoryService::Service {
 public:
  FakeMemory() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port_);
    builder.SetMaxReceiveMessageSize(64 << 20);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeMemory() override { server_->Shutdown(); }

  std::shared_ptr<grpc::Channel> Channel() {
    return server_->InProcessChannel(grpc::ChannelArguments());
  }
  std::string Address() const { return "127.0.0.1:" + std::to_string(port_); }

  v1::Session& AddSession(const std::string& name) {
    sessions[name].set_name(name);
    return sessions[name];
  }

  std::deque<absl::Status> failures;
  std::map<std::string, v1::Session> sessions;
  std::vector<std::string> calls;  // Names of methods.
  std::string authorization;       // What the last GetSession showed,
  std::string traceparent;         // and whose span it was part of.
  std::vector<v1::AppendRequest> appends;
  std::function<void()> on_append;
  v1::RecallRequest recall_request;
  v1::RecallResponse recall_response;
  v1::AssembleContextRequest context_request;
  v1::AssembleContextResponse context_response;
  v1::AttendRequest attend_request;
  std::function<v1::AttendResponse(const v1::AttendRequest&)> attend;
  v1::ForgetRequest forget_request;
  v1::ForkSessionRequest fork_request;
  v1::UpdateSessionRequest update_request;
  std::string operation;     // That forgets name; none when empty.
  int looks_until_done = 0;  // GetOperation says done when it is not positive.
  v1::CreateSessionRequest create_request;
  v1::VerifyResponse verify_response;
  v1::StatsResponse stats_response;
  std::vector<v1::ProfilePreset> presets;  // By the names of their profiles.
  v1::CommitWindowRequest commit_request;
  v1::CommitWindowResponse commit_response;
  std::vector<v1::ReadTokensRequest> token_requests;
  std::function<v1::ReadTokensResponse(const v1::ReadTokensRequest&)> tokens;
  v1::GetCompressiveStateRequest state_request;

  grpc::Status Append(grpc::ServerContext*, const v1::AppendRequest* request,
                      v1::AppendResponse* response) override {
    appends.push_back(*request);
    if (on_append) on_append();
    return Answer("Append", request->session(), [&] {
      v1::Session& session = sessions[request->session()];
      const std::string& id = request->request_id();
      response->set_replayed(!id.empty() && !request_ids_.insert(id).second);
      const uint64_t tokens =
          request->has_tokens() ? request->tokens().keys().shape(2) : 1;
      response->set_seq_first(session.seq_next());
      if (!response->replayed()) {
        session.set_seq_next(session.seq_next() + tokens);
      }
      response->set_seq_next(session.seq_next());
      response->set_position_next(session.seq_next());
      response->set_passages(request->has_text());
    });
  }
  grpc::Status Recall(grpc::ServerContext*, const v1::RecallRequest* request,
                      v1::RecallResponse* response) override {
    recall_request = *request;
    return Answer("Recall", request->session(),
                  [&] { *response = recall_response; });
  }
  grpc::Status AssembleContext(grpc::ServerContext*,
                               const v1::AssembleContextRequest* request,
                               v1::AssembleContextResponse* response) override {
    context_request = *request;
    return Answer("AssembleContext", request->session(),
                  [&] { *response = context_response; });
  }
  grpc::Status Attend(grpc::ServerContext*, const v1::AttendRequest* request,
                      v1::AttendResponse* response) override {
    attend_request = *request;
    return Answer("Attend", request->session(),
                  [&] { *response = attend(*request); });
  }
  grpc::Status Forget(grpc::ServerContext*, const v1::ForgetRequest* request,
                      v1::ForgetResponse* response) override {
    forget_request = *request;
    return Answer("Forget", request->session(), [&] {
      response->set_entries(2);
      response->set_tokens(7);
      response->set_operation(operation);
    });
  }
  grpc::Status CreateSession(grpc::ServerContext*,
                             const v1::CreateSessionRequest* request,
                             v1::CreateSessionResponse* response) override {
    create_request = *request;
    const std::string& preset = request->has_profile()
                                    ? request->profile().preset()
                                    : request->profile_name();
    if (preset != "text" && !preset.empty() && Preset(preset) == nullptr) {
      calls.push_back("CreateSession");
      return NoProfile(preset);
    }
    return Answer("CreateSession", "", [&] {
      *response->mutable_session() = AddSession(request->session());
    });
  }
  grpc::Status GetProfile(grpc::ServerContext*,
                          const v1::GetProfileRequest* request,
                          v1::GetProfileResponse* response) override {
    if (Preset(request->name()) == nullptr) {
      calls.push_back("GetProfile");
      return NoProfile(request->name());
    }
    return Answer("GetProfile", "", [&] {
      *response->mutable_preset() = *Preset(request->name());
    });
  }
  grpc::Status ListProfiles(grpc::ServerContext*,
                            const v1::ListProfilesRequest*,
                            v1::ListProfilesResponse* response) override {
    return Answer("ListProfiles", "", [&] {
      response->mutable_presets()->Assign(presets.begin(), presets.end());
    });
  }
  grpc::Status CommitWindow(grpc::ServerContext*,
                            const v1::CommitWindowRequest* request,
                            v1::CommitWindowResponse* response) override {
    commit_request = *request;
    return Answer("CommitWindow", request->session(),
                  [&] { *response = commit_response; });
  }
  grpc::Status ReadTokens(grpc::ServerContext*,
                          const v1::ReadTokensRequest* request,
                          v1::ReadTokensResponse* response) override {
    token_requests.push_back(*request);
    return Answer("ReadTokens", request->session(), [&] {
      if (tokens) *response = tokens(*request);
    });
  }
  grpc::Status GetSession(grpc::ServerContext* context,
                          const v1::GetSessionRequest* request,
                          v1::GetSessionResponse* response) override {
    const auto& metadata = context->client_metadata();
    const auto it = metadata.find("authorization");
    authorization = it == metadata.end()
                        ? ""
                        : std::string(it->second.data(), it->second.size());
    const auto parent = metadata.find("traceparent");
    traceparent = parent == metadata.end() ? ""
                                           : std::string(parent->second.data(),
                                                         parent->second.size());
    return Answer("GetSession", request->session(), [&] {
      *response->mutable_session() = sessions[request->session()];
    });
  }
  // Two sessions a page, so that three make a client turn the page.
  grpc::Status ListSessions(grpc::ServerContext*,
                            const v1::ListSessionsRequest* request,
                            v1::ListSessionsResponse* response) override {
    return Answer("ListSessions", "", [&] {
      for (const auto& [name, session] : sessions) {
        if (name <= request->page_token() ||
            name.rfind(request->parent() + "/", 0) != 0) {
          continue;
        }
        if (response->sessions_size() == 2) {
          response->set_next_page_token(response->sessions(1).name());
          break;
        }
        *response->add_sessions() = session;
      }
    });
  }
  grpc::Status ForkSession(grpc::ServerContext*,
                           const v1::ForkSessionRequest* request,
                           v1::ForkSessionResponse* response) override {
    fork_request = *request;
    return Answer("ForkSession", request->session(), [&] {
      v1::Session& session = *response->mutable_session();
      session.set_name(request->fork());
      session.set_seq_next(request->at_seq());
      if (request->has_ttl()) *session.mutable_ttl() = request->ttl();
    });
  }
  grpc::Status UpdateSession(grpc::ServerContext*,
                             const v1::UpdateSessionRequest* request,
                             v1::UpdateSessionResponse* response) override {
    update_request = *request;
    return Answer("UpdateSession", request->session(), [&] {
      v1::Session& session = *response->mutable_session();
      session.set_name(request->session());
      if (request->has_ttl()) *session.mutable_ttl() = request->ttl();
    });
  }
  grpc::Status DeleteNamespace(grpc::ServerContext*,
                               const v1::DeleteNamespaceRequest*,
                               v1::DeleteNamespaceResponse* response) override {
    response->set_sessions(3);
    return grpc::Status::OK;
  }
  grpc::Status GetOperation(grpc::ServerContext*,
                            const v1::GetOperationRequest* request,
                            v1::GetOperationResponse* response) override {
    response->mutable_operation()->set_name(request->name());
    response->mutable_operation()->set_done(--looks_until_done <= 0);
    return grpc::Status::OK;
  }
  grpc::Status DeleteSession(grpc::ServerContext*,
                             const v1::DeleteSessionRequest* request,
                             v1::DeleteSessionResponse*) override {
    return Answer("DeleteSession", request->session(),
                  [&] { sessions.erase(request->session()); });
  }
  grpc::Status GetCompressiveState(
      grpc::ServerContext*, const v1::GetCompressiveStateRequest* request,
      v1::GetCompressiveStateResponse* response) override {
    state_request = *request;
    return Answer("GetCompressiveState", request->session(),
                  [&] { response->set_absorbed_seq(request->layer()); });
  }
  grpc::Status Verify(grpc::ServerContext*, const v1::VerifyRequest* request,
                      v1::VerifyResponse* response) override {
    return Answer("Verify", request->session(),
                  [&] { *response = verify_response; });
  }
  grpc::Status Stats(grpc::ServerContext*, const v1::StatsRequest* request,
                     v1::StatsResponse* response) override {
    return Answer("Stats", request->session(),
                  [&] { *response = stats_response; });
  }

 private:
  const v1::ProfilePreset* Preset(const std::string& name) const {
    for (const v1::ProfilePreset& preset : presets) {
      if (preset.profile().name() == name) return &preset;
    }
    return nullptr;
  }

  static grpc::Status NoProfile(const std::string& name) {
    return proto::ToGrpc(
        base::Error(absl::StatusCode::kNotFound, "no profile \"" + name + "\"",
                    {.reason = "PROFILE_NOT_FOUND", .field = "name"}));
  }

  grpc::Status Answer(const std::string& method, const std::string& session,
                      const std::function<void()>& answer) {
    calls.push_back(method);
    if (!failures.empty()) {
      const absl::Status failure = failures.front();
      failures.pop_front();
      if (!failure.ok()) return proto::ToGrpc(failure);
    }
    if (!session.empty() && sessions.count(session) == 0) {
      return proto::ToGrpc(
          base::Error(absl::StatusCode::kNotFound,
                      "no session " + session + "; create it first",
                      {.reason = "SESSION_NOT_FOUND",
                       .field = "session",
                       .metadata = {{"session", session}},
                       .retry_after = std::nullopt}));
    }
    answer();
    return grpc::Status::OK;
  }

  int port_ = 0;
  std::set<std::string> request_ids_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace mneme::testing

#endif  // MNEME_TESTS_CLIENT_FAKE_MEMORY_H_
