// One tenant's answers have the same bits whatever the others do, and nothing
// that anybody sends reaches the log.

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mneme/v1/memory_service.grpc.pb.h"
#include "proto/status.h"
#include "service/server.h"
#include "tests/testing/map_store.h"
#include "tests/testing/random.h"

namespace mneme::service {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Stub = v1::MemoryService::Stub;

// Else answers would differ by the time of day.
class StillClock final : public base::Clock {
 public:
  std::chrono::system_clock::time_point Now() const override {
    return std::chrono::system_clock::from_time_t(1'800'000'000);
  }
  std::chrono::steady_clock::time_point Ticks() const override {
    return std::chrono::steady_clock::now();
  }
};

// Maps in the order of their keys.
std::string BytesOf(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

v1::Profile TokenProfile() {
  v1::Profile profile;
  profile.set_layers(1);
  profile.set_query_heads(2);
  profile.set_kv_heads(2);
  profile.set_key_dim(4);
  profile.set_value_dim(3);
  profile.set_data_type(v1::DATA_TYPE_FLOAT32);
  profile.mutable_window()->set_tokens(8);
  profile.mutable_knn();
  profile.mutable_compressive()->set_segment_tokens(8);
  profile.mutable_compressive()->add_gate_logits(0.5F);
  return profile;
}

void Fill(const std::vector<int64_t>& shape, const std::vector<float>& numbers,
          v1::Tensor* tensor) {
  tensor->set_data_type(v1::DATA_TYPE_FLOAT32);
  for (const int64_t size : shape) tensor->add_shape(size);
  tensor->mutable_data()->resize(numbers.size() * sizeof(float));
  std::memcpy(tensor->mutable_data()->data(), numbers.data(),
              tensor->data().size());
}

// A caller in its own namespace, who keeps the bytes of all it is answered.
class Tenant {
 public:
  Tenant(Server* server, const std::string& name)
      : stub_(v1::MemoryService::NewStub(server->InProcessChannel())),
        space_("namespaces/" + name),
        token_("token-" + name) {}

  std::string Session(const std::string& name) const {
    return space_ + "/sessions/" + name;
  }
  const std::vector<std::string>& answers() const { return answers_; }

  template <typename Request, typename Response>
  absl::Status Ask(grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                const Request&, Response*),
                   const Request& request, Response* response) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token_);
    const absl::Status status =
        proto::FromGrpc((stub_.get()->*method)(&context, request, response));
    answers_.push_back(status.ToString() + BytesOf(*response));
    return status;
  }
  template <typename Response, typename Request>
  absl::Status Ask(grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                const Request&, Response*),
                   Request request, const std::string& session) {
    request.set_session(Session(session));
    Response response;
    return Ask(method, request, &response);
  }

  absl::Status Create(const std::string& session, bool text) {
    v1::CreateSessionRequest request;
    if (text) {
      request.set_profile_name("text");
    } else {
      *request.mutable_profile() = TokenProfile();
    }
    return Ask<v1::CreateSessionResponse>(&Stub::CreateSession, request,
                                          session);
  }
  absl::Status Say(const std::string& session, const std::string& text) {
    v1::AppendRequest request;
    request.mutable_text()->set_text(text);
    request.mutable_text()->set_source("source");
    (*request.mutable_text()->mutable_metadata())["a"] = "b";
    (*request.mutable_text()->mutable_metadata())["c"] = "d";
    request.set_request_id(text);
    return Ask<v1::AppendResponse>(&Stub::Append, request, session);
  }
  absl::Status AppendTokens(const std::string& session, size_t count,
                            testing::Random& random) {
    v1::AppendRequest request;
    const auto tokens = static_cast<int64_t>(count);
    Fill({1, 2, tokens, 4}, random.Normals(8 * count),
         request.mutable_tokens()->mutable_keys());
    Fill({1, 2, tokens, 3}, random.Normals(6 * count),
         request.mutable_tokens()->mutable_values());
    return Ask<v1::AppendResponse>(&Stub::Append, request, session);
  }
  absl::Status Attend(const std::string& session, testing::Random& random) {
    v1::AttendRequest request;
    Fill({2, 1, 4}, random.Normals(8), request.add_reads()->mutable_queries());
    request.set_top_items(4);
    return Ask<v1::AttendResponse>(&Stub::Attend, request, session);
  }
  absl::Status Fork(const std::string& session, const std::string& fork) {
    v1::ForkSessionRequest request;
    request.set_fork(Session(fork));
    return Ask<v1::ForkSessionResponse>(&Stub::ForkSession, request, session);
  }
  absl::Status Recall(const std::string& session, const std::string& query) {
    v1::RecallRequest request;
    request.set_query(query);
    return Ask<v1::RecallResponse>(&Stub::Recall, request, session);
  }
  absl::Status Assemble(const std::string& session, const std::string& query) {
    v1::AssembleContextRequest request;
    request.set_query(query);
    request.set_budget_tokens(100);
    request.set_recent_entries(1);
    return Ask<v1::AssembleContextResponse>(&Stub::AssembleContext, request,
                                            session);
  }
  absl::Status ReadTokens(const std::string& session) {
    v1::ReadTokensRequest request;
    request.set_tensors(true);
    return Ask<v1::ReadTokensResponse>(&Stub::ReadTokens, request, session);
  }
  absl::Status Forget(const std::string& session, uint64_t entry) {
    v1::ForgetRequest request;
    request.set_entry(entry);
    v1::ForgetResponse response;
    request.set_session(Session(session));
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token_);
    return proto::FromGrpc(stub_->Forget(&context, request, &response));
  }
  template <typename Response, typename Request>
  absl::Status Look(grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                 const Request&, Response*),
                    const std::string& session) {
    return Ask<Response>(method, Request(), session);
  }
  void List() {
    v1::ListSessionsRequest request;
    request.set_parent(space_);
    request.set_page_size(1);
    v1::ListSessionsResponse response;
    EXPECT_TRUE(Ask(&Stub::ListSessions, request, &response).ok());
    request.set_page_token(response.next_page_token());
    EXPECT_TRUE(Ask(&Stub::ListSessions, request, &response).ok());
  }

 private:
  const std::unique_ptr<Stub> stub_;
  const std::string space_;
  const std::string token_;
  std::vector<std::string> answers_;
};

class TenantsTest : public ::testing::Test {
 protected:
  TenantsTest() {
    std::vector<AccessEntry> entries;
    for (const std::string name : {"mine", "noisy", "other"}) {
      entries.push_back(
          {.name = name,
           .token =
               TokenHash{.salt = "s", .digest = DigestOf("s", "token-" + name)},
           .scopes = {{.space = name, .scope = Scope::kAdmin}}});
    }
    std::ofstream(path_) << AccessTable(std::move(entries)).ToJson();
    base::SetLogLevel(base::LogLevel::kWarning);
  }
  ~TenantsTest() override {
    std::remove(path_.c_str());
    base::SetLogLevel(base::LogLevel::kInfo);
  }

  std::unique_ptr<Server> Start() {
    auto server = Server::Start(std::make_unique<testing::MapStore>(),
                                {.tokens_file = path_, .threads = 2}, &clock_);
    EXPECT_TRUE(server.ok()) << server.status();
    return *std::move(server);
  }

  const std::string path_ = ::testing::TempDir() + "mneme_tenants_" +
                            std::to_string(getpid()) + ".json";
  StillClock clock_;
};

// Everything a tenant can ask, in one order; `between` happens between any two.
std::vector<std::string> LiveThrough(Tenant& tenant,
                                     const std::function<void()>& between) {
  testing::Random random(testing::Seed());
  const auto ok = [&between](const absl::Status& status) {
    EXPECT_TRUE(status.ok()) << status;
    between();
  };
  between();
  ok(tenant.Create("notes", /*text=*/true));
  ok(tenant.Create("run", /*text=*/false));
  for (const char* text : {"The door was opened by Alice.", "It rained.",
                           "Alice moved to Rome. The door stayed open."}) {
    ok(tenant.Say("notes", text));
  }
  for (int i = 0; i < 6; ++i) {
    ok(tenant.AppendTokens("run", 7, random));
    ok(tenant.Attend("run", random));
    ok(tenant.Look<v1::GetCompressiveStateResponse>(&Stub::GetCompressiveState,
                                                    "run"));
  }
  ok(tenant.Fork("notes", "copy"));
  ok(tenant.Recall("copy", "who opened the door"));
  ok(tenant.Recall("notes", "who opened the door"));
  ok(tenant.Assemble("notes", "door"));
  ok(tenant.Say("notes", "It rained."));  // Replayed.
  ok(tenant.Forget("notes", 1));
  ok(tenant.Recall("notes", "rain"));
  ok(tenant.ReadTokens("run"));
  for (const char* session : {"notes", "run"}) {
    ok(tenant.Look<v1::GetSessionResponse>(&Stub::GetSession, session));
    ok(tenant.Look<v1::VerifyResponse>(&Stub::Verify, session));
    ok(tenant.Look<v1::StatsResponse>(&Stub::Stats, session));
  }
  tenant.List();
  EXPECT_FALSE(tenant.Recall("missing", "x").ok());
  EXPECT_FALSE(tenant.Create("notes", true).ok());
  return tenant.answers();
}

TEST_F(TenantsTest, AnswersHaveTheSameBitsWithAndWithoutNeighbours) {
  const auto alone = Start();
  Tenant undisturbed(alone.get(), "mine");
  const auto expected = LiveThrough(undisturbed, [] {});

  const auto shared = Start();
  // One neighbour between any two calls, another all the time.
  Tenant noisy(shared.get(), "noisy");
  testing::Random random(testing::Seed() + 1);
  int round = 0;
  const auto noise = [&] {
    const std::string text = "t" + std::to_string(round);
    const std::string run = "r" + std::to_string(round++);
    EXPECT_TRUE(noisy.Create(text, true).ok());
    EXPECT_TRUE(noisy.Create(run, false).ok());
    EXPECT_TRUE(noisy.Say(text, "The door was opened by Bob.").ok());
    EXPECT_TRUE(noisy.Say(text, "It rained.").ok());
    EXPECT_TRUE(noisy.AppendTokens(run, 20, random).ok());
    EXPECT_TRUE(noisy.Forget(text, 1).ok());
    if (round % 3 == 0) {
      v1::DeleteSessionRequest request;
      EXPECT_TRUE(noisy
                      .Ask<v1::DeleteSessionResponse>(&Stub::DeleteSession,
                                                      request, run)
                      .ok());
    }
  };
  std::atomic<bool> stop = false;
  Tenant other(shared.get(), "other");
  EXPECT_TRUE(other.Create("notes", true).ok());
  std::thread all_the_time([&] {
    for (int i = 0; !stop; ++i) {
      EXPECT_TRUE(other.Say("notes", "Door " + std::to_string(i)).ok());
      EXPECT_TRUE(other.Recall("notes", "door").ok());
    }
  });
  Tenant disturbed(shared.get(), "mine");
  const auto answers = LiveThrough(disturbed, noise);
  stop = true;
  all_the_time.join();

  ASSERT_EQ(answers.size(), expected.size());
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i], expected[i]) << "call " << i;
  }
}

TEST_F(TenantsTest, APageOfANamespaceIsNoPageOfAnother) {
  const auto server = Start();
  Tenant mine(server.get(), "mine");
  Tenant noisy(server.get(), "noisy");
  for (Tenant* tenant : {&mine, &noisy}) {
    EXPECT_TRUE(tenant->Create("a", true).ok());
    EXPECT_TRUE(tenant->Create("b", true).ok());
  }
  v1::ListSessionsRequest request;
  request.set_parent("namespaces/noisy");
  request.set_page_size(1);
  v1::ListSessionsResponse response;
  ASSERT_TRUE(noisy.Ask(&Stub::ListSessions, request, &response).ok());
  request.set_page_token(response.next_page_token());
  request.set_parent("namespaces/mine");
  EXPECT_EQ(mine.Ask(&Stub::ListSessions, request, &response).code(),
            absl::StatusCode::kInvalidArgument);
}

// Whatever level the log has, and also when a call fails.
TEST_F(TenantsTest, NothingThatIsSentReachesTheLog) {
  constexpr char kSentinel[] = "SENTINEL";
  const std::string words = std::string("The ") + kSentinel + " words.";
  const auto server = Start();
  Tenant mine(server.get(), "mine");
  base::SetLogLevel(base::LogLevel::kDebug);
  ::testing::internal::CaptureStderr();
  EXPECT_TRUE(mine.Create("s", true).ok());
  EXPECT_TRUE(mine.Create("run", false).ok());
  for (const char* session : {"s", "run", "missing"}) {
    for (const std::string& text : {words, words + "\xff", std::string(" ")}) {
      v1::AppendRequest append;
      append.mutable_text()->set_text(text);
      append.mutable_text()->set_role(kSentinel);
      append.mutable_text()->set_source(kSentinel);
      (*append.mutable_text()->mutable_metadata())[kSentinel] = kSentinel;
      append.set_request_id(kSentinel);
      (void)mine.Ask<v1::AppendResponse>(&Stub::Append, append, session);
      (void)mine.Recall(session, text);
      (void)mine.Assemble(session, text);
    }
    v1::AppendRequest tensors;
    v1::Tensor* keys = tensors.mutable_tokens()->mutable_keys();
    keys->set_data(kSentinel);
    (void)mine.Ask<v1::AppendResponse>(&Stub::Append, tensors, session);
    v1::ForgetRequest forget;
    forget.set_source(kSentinel);
    (void)mine.Ask<v1::ForgetResponse>(&Stub::Forget, forget, session);
    v1::CreateSessionRequest create;
    create.set_profile_name(kSentinel);
    (void)mine.Ask<v1::CreateSessionResponse>(&Stub::CreateSession, create,
                                              session);
  }
  {
    const auto stub = v1::MemoryService::NewStub(server->InProcessChannel());
    grpc::ClientContext context;
    context.AddMetadata("authorization", std::string("Bearer ") + kSentinel);
    context.AddMetadata("x-other", kSentinel);
    v1::StatsResponse response;
    EXPECT_FALSE(stub->Stats(&context, v1::StatsRequest(), &response).ok());
  }
  server->Drain();
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("\"method\":\"Append\""));
  EXPECT_THAT(log, HasSubstr("INVALID_ARGUMENT"));
  EXPECT_THAT(log, HasSubstr("NOT_FOUND"));
  EXPECT_THAT(log, HasSubstr("TOKEN_UNKNOWN"));
  EXPECT_THAT(log, Not(HasSubstr(kSentinel)));
}

}  // namespace
}  // namespace mneme::service
