#include "service/server.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <functional>
#include <latch>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"
#include "mneme/v1/memory_service.grpc.pb.h"
#include "proto/status.h"
#include "service/convert_tensor.h"
#include "service/trace_context.h"
#include "tests/testing/map_store.h"

namespace mneme::service {
namespace {

using ::testing::HasSubstr;

constexpr char kSession[] = "namespaces/n/sessions/s";
constexpr char kHealth[] = "/grpc.health.v1.Health/";
// HealthCheckResponse{status: SERVING} and {status: NOT_SERVING}.
constexpr char kServing[] = "\x08\x01";
constexpr char kNotServing[] = "\x08\x02";

// A store whose next write after `closed` waits, so that a call is under way
// for as long as a test wants.
class GatedStore final : public memory::Store {
 public:
  struct Gate {
    std::atomic<bool> closed = false;
    std::latch entered{1};
    std::latch open{1};
  };
  explicit GatedStore(std::shared_ptr<Gate> gate) : gate_(std::move(gate)) {}

  absl::Status Write(const memory::WriteBatch& batch, bool sync) override {
    if (gate_->closed.exchange(false)) {
      gate_->entered.count_down();
      gate_->open.wait();
    }
    return store_.Write(batch, sync);
  }
  absl::StatusOr<std::string> Read(const std::string& key) const override {
    return store_.Read(key);
  }
  absl::Status Scan(
      const std::string& begin, const std::string& end,
      const std::function<bool(std::string_view, std::string_view)>& visit)
      const override {
    return store_.Scan(begin, end, visit);
  }
  absl::Status Compact(const std::string& begin,
                       const std::string& end) override {
    return store_.Compact(begin, end);
  }
  std::unique_ptr<const memory::StoreView> Freeze() const override {
    return store_.Freeze();
  }
  absl::Status Checkpoint(const std::string& directory) override {
    return store_.Checkpoint(directory);
  }
  uint64_t Moment() const override { return store_.Moment(); }
  bool HasViewBefore(uint64_t moment) const override {
    return store_.HasViewBefore(moment);
  }
  void Interrupt() override { store_.Interrupt(); }
  uint64_t ApproximateBytes() const override {
    return store_.ApproximateBytes();
  }
  absl::Status Health() const override { return store_.Health(); }

 private:
  const std::shared_ptr<Gate> gate_;
  testing::MapStore store_;
};

class ServerTest : public ::testing::Test {
 protected:
  void Start(ServerOptions options, std::unique_ptr<memory::Store> store =
                                        std::make_unique<testing::MapStore>()) {
    auto server = Server::Start(std::move(store), options, &clock_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = options.listen.empty() ? server_->InProcessChannel()
                                      : ChannelTo(server_->addresses().front());
    stub_ = v1::MemoryService::NewStub(channel_);
  }
  void StartOnLoopback() { Start({.listen = {"127.0.0.1:0"}}); }

  static std::shared_ptr<grpc::Channel> ChannelTo(const std::string& address) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxSendMessageSize(-1);
    arguments.SetMaxReceiveMessageSize(-1);
    return grpc::CreateCustomChannel(
        address, grpc::InsecureChannelCredentials(), arguments);
  }

  absl::Status Create() {
    v1::CreateSessionRequest request;
    request.set_session(kSession);
    request.set_profile_name("text");
    v1::CreateSessionResponse response;
    grpc::ClientContext context;
    return proto::FromGrpc(stub_->CreateSession(&context, request, &response));
  }
  absl::Status Append(const std::string& text) {
    v1::AppendRequest request;
    request.set_session(kSession);
    request.mutable_text()->set_text(text);
    v1::AppendResponse response;
    grpc::ClientContext context;
    return proto::FromGrpc(stub_->Append(&context, request, &response));
  }

  // One unary call whose messages this test writes and reads as bytes.
  std::string CallRaw(const std::string& method, const std::string& request) {
    grpc::GenericStub stub(channel_);
    grpc::CompletionQueue queue;
    grpc::ClientContext context;
    const grpc::Slice slice(request);
    auto call = stub.PrepareUnaryCall(&context, method,
                                      grpc::ByteBuffer(&slice, 1), &queue);
    call->StartCall();
    grpc::ByteBuffer response;
    grpc::Status status;
    call->Finish(&response, &status, this);
    void* tag = nullptr;
    bool ok = false;
    EXPECT_TRUE(queue.Next(&tag, &ok));
    EXPECT_TRUE(status.ok()) << status.error_message();
    return StringOf(response);
  }

  static std::string StringOf(const grpc::ByteBuffer& buffer) {
    grpc::Slice slice;
    if (!buffer.DumpToSingleSlice(&slice).ok()) return "";
    return std::string(reinterpret_cast<const char*>(slice.begin()),
                       slice.size());
  }

  base::RealClock clock_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::MemoryService::Stub> stub_;
};

// A server-streaming call as bytes, e.g. a health watch.
class RawStream {
 public:
  RawStream(const std::shared_ptr<grpc::Channel>& channel,
            const std::string& method, const std::string& request)
      : stub_(channel) {
    call_ = stub_.PrepareCall(&context_, method, &queue_);
    call_->StartCall(nullptr);
    Wait();
    const grpc::Slice slice(request);
    call_->Write(grpc::ByteBuffer(&slice, 1), nullptr);
    Wait();
    call_->WritesDone(nullptr);
    Wait();
  }
  ~RawStream() {
    context_.TryCancel();
    grpc::Status status;
    call_->Finish(&status, nullptr);
    Wait();
  }

  // False when the stream has ended.
  bool Read(grpc::ByteBuffer* message) {
    call_->Read(message, nullptr);
    return Wait();
  }

 private:
  bool Wait() {
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
};

TEST_F(ServerTest, ServesWhoeverConnects) {
  StartOnLoopback();
  EXPECT_EQ(Create(), absl::OkStatus());
  EXPECT_EQ(Append("Words."), absl::OkStatus());
}

TEST_F(ServerTest, ServesWithoutPortsToItsOwnProcess) {
  Start({});
  EXPECT_TRUE(server_->addresses().empty());
  EXPECT_EQ(Create(), absl::OkStatus());
}

TEST_F(ServerTest, ServesOnASocketInTheFileSystem) {
  const std::string path =
      ::testing::TempDir() + "mneme_" + std::to_string(getpid()) + ".sock";
  Start({.listen = {"unix:" + path}});
  EXPECT_EQ(server_->addresses().front(), "unix:" + path);
  EXPECT_EQ(Create(), absl::OkStatus());
  std::remove(path.c_str());
}

TEST_F(ServerTest, HealthSaysServing) {
  StartOnLoopback();
  EXPECT_EQ(CallRaw(std::string(kHealth) + "Check", ""), kServing);
  // HealthCheckRequest{service: "mneme.v1.MemoryService"}.
  const std::string name = "mneme.v1.MemoryService";
  EXPECT_EQ(
      CallRaw(std::string(kHealth) + "Check",
              "\x0a" + std::string(1, static_cast<char>(name.size())) + name),
      kServing);
}

TEST_F(ServerTest, ReflectionListsTheServices) {
  StartOnLoopback();
  // ServerReflectionRequest{list_services: "*"}.
  RawStream stream(
      channel_,
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
      std::string("\x3a\x01*"));
  grpc::ByteBuffer message;
  ASSERT_TRUE(stream.Read(&message));
  EXPECT_THAT(StringOf(message), HasSubstr("mneme.v1.MemoryService"));
  EXPECT_THAT(StringOf(message), HasSubstr("grpc.health.v1.Health"));
}

TEST_F(ServerTest, AnErrorCarriesGoogleRpcDetails) {
  StartOnLoopback();
  v1::RecallRequest request;
  request.set_session("nonsense");
  request.set_query("x");
  v1::RecallResponse response;
  grpc::ClientContext context;
  const grpc::Status status = stub_->Recall(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  google::rpc::Status rich;
  ASSERT_TRUE(rich.ParseFromString(status.error_details()));
  EXPECT_EQ(rich.code(), static_cast<int>(status.error_code()));
  ASSERT_EQ(rich.details_size(), 2);
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(rich.details(0).UnpackTo(&info));
  EXPECT_EQ(info.domain(), "mneme");
  EXPECT_EQ(info.reason(), "INVALID_FIELD");
  google::rpc::BadRequest bad_request;
  ASSERT_TRUE(rich.details(1).UnpackTo(&bad_request));
  ASSERT_EQ(bad_request.field_violations_size(), 1);
  EXPECT_EQ(bad_request.field_violations(0).field(), "session");
}

TEST_F(ServerTest, AMessageAboveTheLimitIsRefusedAndOneBelowIsRead) {
  StartOnLoopback();
  ASSERT_EQ(Create(), absl::OkStatus());
  EXPECT_EQ(Append(std::string(kMessageBytesMax + 1, 'x')).code(),
            absl::StatusCode::kResourceExhausted);
  const absl::Status read = Append(std::string(kMessageBytesMax / 2, 'x'));
  EXPECT_EQ(read.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(base::DetailOf(read).field, "text.text");
}

TEST_F(ServerTest, TheCallersRequestIdComesBack) {
  StartOnLoopback();
  v1::StatsRequest request;
  v1::StatsResponse response;
  grpc::ClientContext context;
  context.AddMetadata("x-request-id", "abc-1");
  ASSERT_TRUE(stub_->Stats(&context, request, &response).ok());
  const auto& metadata = context.GetServerInitialMetadata();
  const auto it = metadata.find("x-request-id");
  ASSERT_NE(it, metadata.end());
  EXPECT_EQ(std::string(it->second.data(), it->second.size()), "abc-1");
}

TEST_F(ServerTest, TheCallersTraceGoesOnWithASpanOfOurs) {
  StartOnLoopback();
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const std::string parent = "00f067aa0ba902b7";
  const auto echoed = [&](const std::vector<std::string>& traceparents,
                          const std::string& key) {
    v1::StatsRequest request;
    v1::StatsResponse response;
    grpc::ClientContext context;
    for (const std::string& header : traceparents) {
      context.AddMetadata("traceparent", header);
    }
    context.AddMetadata("tracestate", "rojo=1,congo=t61");
    EXPECT_TRUE(stub_->Stats(&context, request, &response).ok());
    const auto& metadata = context.GetServerInitialMetadata();
    const auto it = metadata.find(key);
    return it == metadata.end()
               ? std::string()
               : std::string(it->second.data(), it->second.size());
  };
  const std::string good = "00-" + trace + "-" + parent + "-01";
  const auto ours = ParseTraceParent(echoed({good}, "traceparent"));
  ASSERT_TRUE(ours);
  EXPECT_EQ(ours->trace_id, trace);
  EXPECT_NE(ours->span_id, parent);
  EXPECT_TRUE(ours->sampled);
  EXPECT_EQ(echoed({good}, "tracestate"), "rojo=1,congo=t61");
  EXPECT_EQ(echoed({"00-nonsense"}, "traceparent"), "");
  EXPECT_EQ(echoed({good, good}, "traceparent"), "");
  EXPECT_EQ(echoed({}, "tracestate"), "");
}

TEST_F(ServerTest, AnEmptyStepOfAStreamIsRefused) {
  StartOnLoopback();
  grpc::ClientContext context;
  const auto stream = stub_->AttendStream(&context);
  ASSERT_TRUE(stream->Write({}));
  v1::AttendStreamResponse response;
  EXPECT_FALSE(stream->Read(&response));
  const absl::Status status = proto::FromGrpc(stream->Finish());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(base::DetailOf(status).field, "step");
}

TEST_F(ServerTest, AStreamAppends) {
  StartOnLoopback();
  ASSERT_EQ(Create(), absl::OkStatus());
  grpc::ClientContext context;
  const auto stream = stub_->AttendStream(&context);
  v1::AttendStreamRequest request;
  request.mutable_append()->set_session(kSession);
  request.mutable_append()->mutable_text()->set_text("One step.");
  v1::AttendStreamResponse response;
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.append().seq_first(), 0);
  EXPECT_GT(response.append().seq_next(), 0);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ServerTest, AnAddressThatOthersReachNeedsConsent) {
  for (const char* address : {"0.0.0.0:0", "[::]:0", "example.com:0"}) {
    const auto refused = Server::Start(std::make_unique<testing::MapStore>(),
                                       {.listen = {address}}, &clock_);
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(base::DetailOf(refused.status()).reason, "NOT_LOOPBACK");
  }
  const auto metrics =
      Server::Start(std::make_unique<testing::MapStore>(),
                    {.listen = {}, .metrics_listen = "0.0.0.0:0"}, &clock_);
  EXPECT_EQ(base::DetailOf(metrics.status()).field, "metrics_listen");
  Start({.listen = {"0.0.0.0:0"}, .metrics_listen = "", .allow_remote = true});
}

TEST_F(ServerTest, APortInUseIsRefused) {
  StartOnLoopback();
  const auto second = Server::Start(std::make_unique<testing::MapStore>(),
                                    {.listen = server_->addresses()}, &clock_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(base::DetailOf(second.status()).reason, "ADDRESS_IN_USE");
}

TEST_F(ServerTest, OptionsOutOfRangeAreRefused) {
  for (const ServerOptions& options :
       {ServerOptions{.listen = {"nonsense"}},
        ServerOptions{.listen = {}, .metrics_listen = "unix:/x"},
        ServerOptions{.listen = {}, .metrics_listen = "", .threads = -1},
        ServerOptions{.listen = {}, .metrics_listen = "", .queue = 0}}) {
    EXPECT_EQ(
        Server::Start(std::make_unique<testing::MapStore>(), options, &clock_)
            .status()
            .code(),
        absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(ServerTest, DrainFinishesWhatRunsAndRefusesWhatIsNew) {
  const auto gate = std::make_shared<GatedStore::Gate>();
  Start({.listen = {"127.0.0.1:0"},
         .metrics_listen = "",
         .threads = 1,
         .drain = std::chrono::minutes(5)},
        std::make_unique<GatedStore>(gate));
  ASSERT_EQ(Create(), absl::OkStatus());
  RawStream health(channel_, std::string(kHealth) + "Watch", "");
  grpc::ByteBuffer message;
  ASSERT_TRUE(health.Read(&message));
  EXPECT_EQ(StringOf(message), kServing);

  absl::Status running = absl::UnknownError("not answered");
  gate->closed = true;
  std::jthread append([&] { running = Append("Under way."); });
  gate->entered.wait();
  std::jthread drain([&] { server_->Drain(); });
  ASSERT_TRUE(health.Read(&message));
  EXPECT_EQ(StringOf(message), kNotServing);
  // The executor is told a moment after the watchers; from then on it refuses.
  v1::StatsRequest request;
  v1::StatsResponse response;
  absl::Status refused;
  do {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::milliseconds(200));
    refused = proto::FromGrpc(stub_->Stats(&context, request, &response));
  } while (refused.code() == absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable) << refused;

  gate->open.count_down();
  append.join();
  drain.join();
  EXPECT_EQ(running, absl::OkStatus());
}

TEST_F(ServerTest, DrainCancelsWhatDoesNotFinishInTime) {
  const auto gate = std::make_shared<GatedStore::Gate>();
  Start({.listen = {"127.0.0.1:0"},
         .metrics_listen = "",
         .threads = 1,
         .drain = std::chrono::milliseconds(1)},
        std::make_unique<GatedStore>(gate));
  ASSERT_EQ(Create(), absl::OkStatus());
  absl::Status running;
  gate->closed = true;
  std::jthread append([&] { running = Append("Under way."); });
  gate->entered.wait();
  std::jthread drain([&] { server_->Drain(); });
  append.join();  // Before the store lets the write pass.
  EXPECT_FALSE(running.ok());
  gate->open.count_down();
  drain.join();
}

TEST_F(ServerTest, LimitsOfAFileHoldAndSayWhatIsUsedUp) {
  const std::string path =
      ::testing::TempDir() + "mneme_limits_" + std::to_string(getpid());
  std::ofstream(path)
      << R"({"default": {"sessions": 1}, "namespaces": {"n": {"bytes": 1}}})";
  Start({.listen = {"127.0.0.1:0"}, .limits_file = path});
  ASSERT_EQ(Create(), absl::OkStatus());
  v1::CreateSessionRequest second;
  second.set_session("namespaces/n/sessions/t");
  second.set_profile_name("text");
  v1::CreateSessionResponse created;
  grpc::ClientContext context;
  const absl::Status sessions =
      proto::FromGrpc(stub_->CreateSession(&context, second, &created));
  EXPECT_EQ(base::DetailOf(sessions).reason, "QUOTA_SESSIONS");
  // The first fits, since nothing is stored yet.
  ASSERT_EQ(Append("Words."), absl::OkStatus());
  const absl::Status bytes = Append("More words.");
  EXPECT_EQ(bytes.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(base::DetailOf(bytes).reason, "QUOTA_BYTES");
  EXPECT_EQ(base::DetailOf(bytes).quota, "namespaces/n");
  std::remove(path.c_str());
}

TEST_F(ServerTest, WhatAnAnswerHeldIsFreeWhenItHasLeft) {
  const std::string path =
      ::testing::TempDir() + "mneme_held_" + std::to_string(getpid());
  // Less than two requests.
  std::ofstream(path) << R"({"default": {"in_flight_bytes": 60}})";
  Start({.listen = {"127.0.0.1:0"}, .limits_file = path});
  ASSERT_EQ(Create(), absl::OkStatus());
  v1::GetSessionRequest request;
  request.set_session(kSession);
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::seconds(60);
  int answered = 0;
  while (answered < 20 && std::chrono::steady_clock::now() < deadline) {
    grpc::ClientContext context;
    v1::GetSessionResponse response;
    const absl::Status status =
        proto::FromGrpc(stub_->GetSession(&context, request, &response));
    if (status.ok()) {
      ++answered;
    } else {  // The one before has reached us, and is only just let go.
      ASSERT_EQ(base::DetailOf(status).reason, "QUOTA_IN_FLIGHT") << status;
    }
  }
  EXPECT_EQ(answered, 20);
  std::remove(path.c_str());
}

TEST_F(ServerTest, AStreamThatSendsNothingIsEnded) {
  Start({.listen = {"127.0.0.1:0"},
         .stream_idle = std::chrono::milliseconds(20)});
  grpc::ClientContext context;
  const auto stream = stub_->AttendStream(&context);
  v1::AttendStreamResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(base::DetailOf(proto::FromGrpc(stream->Finish())).reason,
            "STREAM_IDLE");
}

TEST_F(ServerTest, LimitsThatCannotBeReadKeepItFromStarting) {
  const auto missing = Server::Start(
      std::make_unique<testing::MapStore>(),
      {.listen = {}, .limits_file = "/nonexistent/limits.json"}, &clock_);
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(missing.status().message()),
              HasSubstr("/nonexistent/limits.json"));
}

TEST_F(ServerTest, MetricsAreServedOnTheirOwnAddress) {
  Start({.listen = {"127.0.0.1:0"}, .metrics_listen = "127.0.0.1:0"});
  EXPECT_THAT(server_->metrics_address(), HasSubstr("127.0.0.1:"));
  EXPECT_NE(server_->metrics_address(), "127.0.0.1:0");
  EXPECT_NE(server_->metrics_address(), server_->addresses().front());
}

}  // namespace
}  // namespace mneme::service
