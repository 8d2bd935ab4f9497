// Who may do what, asked of whole servers.

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mneme/v1/memory_service.grpc.pb.h"
#include "mneme/v1/transfer_service.grpc.pb.h"
#include "proto/status.h"
#include "service/credentials.h"
#include "service/server.h"
#include "tests/testing/map_store.h"

namespace mneme::service {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kMine[] = "namespaces/mine/sessions/s";
constexpr char kTheirs[] = "namespaces/theirs/sessions/s";
constexpr char kNobodys[] = "namespaces/theirs/sessions/nothing";

class AccessServerTest : public ::testing::Test {
 protected:
  AccessServerTest() {
    WriteTokens({{"reader", "mine:read"},
                 {"writer", "mine:append"},
                 {"owner", "mine:admin"},
                 {"auditor", "*:read"},
                 {"root", "*:admin"}});
    auto server = Server::Start(
        std::make_unique<testing::MapStore>(),
        {.listen = {"127.0.0.1:0"}, .tokens_file = path_}, &clock_);
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = v1::MemoryService::NewStub(grpc::CreateChannel(
        server_->addresses().front(), grpc::InsecureChannelCredentials()));
    for (const char* name : {kMine, kTheirs}) {
      EXPECT_EQ(Create("root", name), absl::OkStatus());
      EXPECT_EQ(Append("root", name), absl::OkStatus());
    }
  }
  ~AccessServerTest() override { std::remove(path_.c_str()); }

  // A caller's token is "token-" and its name.
  void WriteTokens(const std::map<std::string, std::string>& scopes) const {
    std::vector<AccessEntry> entries;
    for (const auto& [name, scope] : scopes) {
      entries.push_back(
          {.name = name,
           .token =
               TokenHash{.salt = "s", .digest = DigestOf("s", "token-" + name)},
           .scopes = {*Grant::Parse(scope)}});
    }
    std::ofstream(path_) << AccessTable(std::move(entries)).ToJson();
  }

  template <typename Request, typename Response>
  absl::Status Call(const std::string& caller,
                    grpc::Status (v1::MemoryService::Stub::*method)(
                        grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    if (!caller.empty()) {
      context.AddMetadata("authorization", "Bearer token-" + caller);
    }
    return proto::FromGrpc((stub_.get()->*method)(&context, request, response));
  }

  absl::Status Create(const std::string& caller, const std::string& session) {
    v1::CreateSessionRequest request;
    request.set_session(session);
    request.set_profile_name("text");
    v1::CreateSessionResponse response;
    return Call(caller, &v1::MemoryService::Stub::CreateSession, request,
                &response);
  }
  absl::Status Append(const std::string& caller, const std::string& session) {
    v1::AppendRequest request;
    request.set_session(session);
    request.mutable_text()->set_text("Some words.");
    v1::AppendResponse response;
    return Call(caller, &v1::MemoryService::Stub::Append, request, &response);
  }
  absl::Status Recall(const std::string& caller, const std::string& session) {
    v1::RecallRequest request;
    request.set_session(session);
    request.set_query("words");
    v1::RecallResponse response;
    return Call(caller, &v1::MemoryService::Stub::Recall, request, &response);
  }
  absl::Status Forget(const std::string& caller, const std::string& session) {
    v1::ForgetRequest request;
    request.set_session(session);
    request.set_source("none");
    v1::ForgetResponse response;
    return Call(caller, &v1::MemoryService::Stub::Forget, request, &response);
  }
  absl::Status Show(const std::string& caller, const std::string& session) {
    v1::GetSessionRequest request;
    request.set_session(session);
    v1::GetSessionResponse response;
    return Call(caller, &v1::MemoryService::Stub::GetSession, request,
                &response);
  }
  absl::Status List(const std::string& caller, const std::string& parent) {
    v1::ListSessionsRequest request;
    request.set_parent(parent);
    v1::ListSessionsResponse response;
    return Call(caller, &v1::MemoryService::Stub::ListSessions, request,
                &response);
  }
  absl::Status Delete(const std::string& caller, const std::string& session) {
    v1::DeleteSessionRequest request;
    request.set_session(session);
    v1::DeleteSessionResponse response;
    return Call(caller, &v1::MemoryService::Stub::DeleteSession, request,
                &response);
  }
  absl::StatusOr<v1::StatsResponse> Stats(const std::string& caller,
                                          const std::string& session) {
    v1::StatsRequest request;
    request.set_session(session);
    v1::StatsResponse response;
    const absl::Status status =
        Call(caller, &v1::MemoryService::Stub::Stats, request, &response);
    if (!status.ok()) return status;
    return response;
  }

  // As FAILED_PRECONDITION and the like are: an answer of the method.
  static bool Refused(const absl::Status& status) {
    return absl::IsPermissionDenied(status) || absl::IsUnauthenticated(status);
  }

  const std::string path_ = ::testing::TempDir() + "mneme_tokens_" +
                            std::to_string(getpid()) + ".json";
  base::RealClock clock_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::MemoryService::Stub> stub_;
};

TEST_F(AccessServerTest, EachScopeOpensItsMethodsAndNoOthers) {
  using Try = std::function<absl::Status(const std::string&)>;
  const std::map<Scope, std::vector<Try>> needs = {
      {Scope::kRead,
       {[this](auto& who) { return Recall(who, kMine); },
        [this](auto& who) { return Show(who, kMine); },
        [this](auto& who) { return List(who, "namespaces/mine"); },
        [this](auto& who) { return Stats(who, kMine).status(); }}},
      {Scope::kAppend,
       {[this](auto& who) { return Append(who, kMine); },
        [this](auto& who) { return Create(who, kMine); }}},
      {Scope::kAdmin,
       {[this](auto& who) { return Forget(who, kMine); },
        [this](auto& who) {
          return Delete(who, "namespaces/mine/sessions/none");
        }}}};
  const std::map<std::string, Scope> callers = {{"reader", Scope::kRead},
                                                {"writer", Scope::kAppend},
                                                {"owner", Scope::kAdmin},
                                                {"auditor", Scope::kRead},
                                                {"root", Scope::kAdmin}};
  for (const auto& [caller, has] : callers) {
    for (const auto& [scope, tries] : needs) {
      for (size_t i = 0; i < tries.size(); ++i) {
        const absl::Status status = tries[i](caller);
        EXPECT_EQ(Refused(status), has < scope)
            << caller << " " << NameOf(scope) << " " << i << " " << status;
      }
    }
  }
}

TEST_F(AccessServerTest, WithoutATokenOnlyTheSchemaAnswers) {
  EXPECT_EQ(base::DetailOf(Recall("", kMine)).reason, "TOKEN_MISSING");
  EXPECT_EQ(base::DetailOf(Stats("", "").status()).reason, "TOKEN_MISSING");
  EXPECT_EQ(base::DetailOf(Stats("mallory", "").status()).reason,
            "TOKEN_UNKNOWN");
  v1::ListProfilesResponse profiles;
  EXPECT_EQ(base::DetailOf(Call("", &v1::MemoryService::Stub::ListProfiles,
                                v1::ListProfilesRequest(), &profiles))
                .reason,
            "TOKEN_MISSING");
  EXPECT_TRUE(Call("reader", &v1::MemoryService::Stub::ListProfiles,
                   v1::ListProfilesRequest(), &profiles)
                  .ok());
}

TEST_F(AccessServerTest, ARefusalIsTheSameWhetherOrNotSomethingIsThere) {
  for (const auto& ask : std::vector<std::function<absl::Status(const char*)>>{
           [this](const char* name) { return Show("owner", name); },
           [this](const char* name) { return Recall("owner", name); },
           [this](const char* name) { return Append("owner", name); },
           [this](const char* name) { return Create("owner", name); },
           [this](const char* name) { return Forget("owner", name); },
           [this](const char* name) { return Delete("owner", name); },
           [this](const char* name) {
             return Stats("owner", name).status();
           }}) {
    const absl::Status there = ask(kTheirs);
    const absl::Status nothing = ask(kNobodys);
    EXPECT_EQ(there.code(), absl::StatusCode::kPermissionDenied) << there;
    EXPECT_EQ(there, nothing);  // With its details.
  }
  EXPECT_EQ(List("owner", "namespaces/theirs").code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Show("root", kNobodys).code(), absl::StatusCode::kNotFound);
}

TEST_F(AccessServerTest, ANameWithoutANamespaceOpensNothing) {
  for (const char* name : {"", "mine", "sessions/s", "namespaces/",
                           "namespaces//mine/sessions/s", "/namespaces/mine"}) {
    EXPECT_EQ(Show("owner", name).code(), absl::StatusCode::kPermissionDenied)
        << name;
    EXPECT_EQ(Show("root", name).code(), absl::StatusCode::kInvalidArgument)
        << name;
  }
  EXPECT_EQ(
      Show("owner", "namespaces/mine/sessions/../../theirs/sessions/s").code(),
      absl::StatusCode::kInvalidArgument);
}

TEST_F(AccessServerTest, TheServersCountsAreForWhoMayReadEverything) {
  const auto all = Stats("auditor", "");
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->server().sessions(), 2);
  for (const char* session : {"", kMine}) {
    const auto mine = Stats("owner", session);
    ASSERT_TRUE(mine.ok()) << mine.status();
    v1::ServerStats version;
    version.set_version(mine->server().version());
    EXPECT_NE(version.version(), "");
    EXPECT_EQ(mine->server().SerializeAsString(), version.SerializeAsString());
  }
}

TEST_F(AccessServerTest, EveryStepOfAStreamIsAsked) {
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer token-writer");
  const auto stream = stub_->AttendStream(&context);
  v1::AttendStreamRequest request;
  request.mutable_append()->set_session(kMine);
  request.mutable_append()->mutable_text()->set_text("One step.");
  v1::AttendStreamResponse response;
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  request.mutable_append()->set_session(kTheirs);
  ASSERT_TRUE(stream->Write(request));
  EXPECT_FALSE(stream->Read(&response));
  const absl::Status status = proto::FromGrpc(stream->Finish());
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
  EXPECT_EQ(base::DetailOf(status).metadata.at("scope"), "append");
}

// It would hold a place until it does.
TEST_F(AccessServerTest, AStreamOfNobodyIsRefusedBeforeItSaysAnything) {
  grpc::ClientContext context;
  const auto attend = stub_->AttendStream(&context);
  v1::AttendStreamResponse response;
  EXPECT_FALSE(attend->Read(&response));
  EXPECT_EQ(proto::FromGrpc(attend->Finish()).code(),
            absl::StatusCode::kUnauthenticated);
  const auto transfers = v1::TransferService::NewStub(grpc::CreateChannel(
      server_->addresses().front(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext import_context;
  v1::ImportSessionResponse imported;
  const auto import = transfers->ImportSession(&import_context, &imported);
  EXPECT_EQ(proto::FromGrpc(import->Finish()).code(),
            absl::StatusCode::kUnauthenticated);
}

TEST_F(AccessServerTest, AStepNeedsTheScopeOfWhatItDoes) {
  const auto step = [this](bool append) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer token-reader");
    const auto stream = stub_->AttendStream(&context);
    v1::AttendStreamRequest request;
    if (append) {
      request.mutable_append()->set_session(kMine);
    } else {
      request.mutable_attend()->set_session(kMine);
    }
    stream->Write(request);
    v1::AttendStreamResponse response;
    stream->Read(&response);
    return proto::FromGrpc(stream->Finish());
  };
  EXPECT_TRUE(Refused(step(/*append=*/true)));
  EXPECT_EQ(step(/*append=*/false).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(AccessServerTest, ARevokedTokenEndsWithinASecondAlsoInAStream) {
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer token-writer");
  const auto stream = stub_->AttendStream(&context);
  v1::AttendStreamRequest request;
  request.mutable_append()->set_session(kMine);
  request.mutable_append()->mutable_text()->set_text("One step.");
  v1::AttendStreamResponse response;
  WriteTokens({{"newcomer", "mine:append"}});
  const auto begin = std::chrono::steady_clock::now();
  while (stream->Write(request) && stream->Read(&response)) {
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin,
            Access::kReread + std::chrono::seconds(2));
  EXPECT_EQ(base::DetailOf(proto::FromGrpc(stream->Finish())).reason,
            "TOKEN_UNKNOWN");
  EXPECT_TRUE(Append("newcomer", kMine).ok());
}

TEST_F(AccessServerTest, MetadataThatIsNoTokenIsRefused) {
  const auto ask = [this](const std::vector<std::string>& headers) {
    grpc::ClientContext context;
    for (const std::string& header : headers) {
      context.AddMetadata("authorization", header);
    }
    v1::StatsResponse response;
    return base::DetailOf(proto::FromGrpc(stub_->Stats(
                              &context, v1::StatsRequest(), &response)))
        .reason;
  };
  EXPECT_EQ(ask({"bearer token-root"}), "");  // The scheme is in any case.
  EXPECT_EQ(ask({"token-root"}), "TOKEN_UNKNOWN");
  EXPECT_EQ(ask({"Basic token-root"}), "TOKEN_UNKNOWN");
  EXPECT_EQ(ask({"Bearer"}), "TOKEN_UNKNOWN");
  EXPECT_EQ(ask({"Bearer "}), "TOKEN_UNKNOWN");
  EXPECT_EQ(ask({"Bearer token-root", "Bearer token-root"}), "TOKEN_UNKNOWN");
  EXPECT_EQ(ask({"Bearer token-root", "Bearer x"}), "TOKEN_UNKNOWN");
  EXPECT_EQ(ask({"Bearer " + std::string(7000, 'x')}), "TOKEN_UNKNOWN");
  // Beyond gRPC's 8 KiB of metadata nothing reaches the door.
  ask({"Bearer " + std::string(100'000, 'x')});
  EXPECT_TRUE(Recall("reader", kMine).ok());
}

TEST_F(AccessServerTest, TenThousandWrongTokensShutNobodyOut) {
  base::SetLogLevel(base::LogLevel::kWarning);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_EQ(Show("guess-" + std::to_string(i), kMine).code(),
              absl::StatusCode::kUnauthenticated);
  }
  const std::chrono::duration<double> took =
      std::chrono::steady_clock::now() - begin;
  base::SetLogLevel(base::LogLevel::kInfo);
  RecordProperty("seconds", std::to_string(took.count()));
  EXPECT_TRUE(Recall("reader", kMine).ok());
}

TEST_F(AccessServerTest, TheLogNamesTheCallerAndNotTheToken) {
  ::testing::internal::CaptureStderr();
  EXPECT_TRUE(Recall("reader", kMine).ok());
  EXPECT_FALSE(Recall("mallory", kMine).ok());
  server_->Drain();
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("\"caller\":\"reader\""));
  EXPECT_THAT(log, HasSubstr("\"reason\":\"TOKEN_UNKNOWN\""));
  EXPECT_THAT(log, Not(HasSubstr("token-")));
}

TEST_F(AccessServerTest, AServerWithoutItsFileDoesNotStart) {
  const auto server = Server::Start(
      std::make_unique<testing::MapStore>(),
      {.listen = {"127.0.0.1:0"}, .tokens_file = path_ + ".none"}, &clock_);
  EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(base::DetailOf(server.status()).field, "tokens");
}

TEST_F(AccessServerTest, TokensAloneDoNotOpenAPortToOtherMachines) {
  const auto server =
      Server::Start(std::make_unique<testing::MapStore>(),
                    {.listen = {"0.0.0.0:0"}, .tokens_file = path_}, &clock_);
  EXPECT_EQ(base::DetailOf(server.status()).reason, "NOT_LOOPBACK");
}

}  // namespace
}  // namespace mneme::service
