#include "service/attend_stream.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/error.h"
#include "gtest/gtest.h"
#include "mneme/v1/memory_service.grpc.pb.h"
#include "proto/status.h"

namespace mneme::service {
namespace {

// A server whose streams answer with a step of the test's.
class StreamTest : public ::testing::Test {
 protected:
  class Service final : public v1::MemoryService::CallbackService {
   public:
    Service(Door* door, OpenStreams* streams, service::AttendStream::Step step)
        : door_(door), streams_(streams), step_(std::move(step)) {}
    grpc::ServerBidiReactor<v1::AttendStreamRequest, v1::AttendStreamResponse>*
    AttendStream(grpc::CallbackServerContext* context) override {
      return service::AttendStream::Start(context, door_, streams_, step_);
    }

   private:
    Door* const door_;
    OpenStreams* const streams_;
    const service::AttendStream::Step step_;
  };

  using Stream = grpc::ClientReaderWriter<v1::AttendStreamRequest,
                                          v1::AttendStreamResponse>;

  void Start(service::AttendStream::Step step) {
    service_ =
        std::make_unique<Service>(&door_, streams_.get(), std::move(step));
    grpc::ServerBuilder builder;
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    stub_ = v1::MemoryService::NewStub(server_->InProcessChannel({}));
  }

  // Returns when gRPC is done with every call.
  void Stop() {
    server_->Shutdown();
    server_->Wait();
    executor_.Stop();
  }

  static v1::AttendStreamRequest StepOf(uint64_t number) {
    v1::AttendStreamRequest request;
    request.mutable_append()->set_expected_seq(number);
    return request;
  }

  base::RealClock clock_;
  Metrics metrics_{"test", "test"};
  Limits limits_{&clock_, {}};
  Executor executor_{{.threads = 2}};
  Door door_{&executor_, &metrics_, &limits_, &clock_};
  std::unique_ptr<OpenStreams> streams_ =
      std::make_unique<OpenStreams>(&clock_, 1024);
  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::MemoryService::Stub> stub_;
};

// Answers with the number of the step.
absl::Status Echo(const v1::AttendStreamRequest& request,
                  v1::AttendStreamResponse* response,
                  const memory::Cancelled& /*cancelled*/) {
  response->mutable_append()->set_seq_next(request.append().expected_seq());
  return absl::OkStatus();
}

TEST_F(StreamTest, StepsAreAnsweredOneByOneInOrder) {
  std::atomic<int> in_flight = 0;
  std::atomic<int> in_flight_max = 0;
  Start([&](const auto& request, auto* response, const auto& cancelled) {
    in_flight_max = std::max(in_flight_max.load(), ++in_flight);
    const absl::Status status = Echo(request, response, cancelled);
    --in_flight;
    return status;
  });
  constexpr uint64_t kSteps = 200;
  grpc::ClientContext context;
  const auto stream = stub_->AttendStream(&context);
  std::jthread writer([&stream] {
    for (uint64_t i = 0; i < kSteps; ++i) stream->Write(StepOf(i));
    stream->WritesDone();
  });
  v1::AttendStreamResponse response;
  uint64_t answered = 0;
  while (stream->Read(&response)) {
    EXPECT_EQ(response.append().seq_next(), answered++);
  }
  EXPECT_EQ(answered, kSteps);
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(in_flight_max, 1);
  writer.join();
  Stop();
  EXPECT_EQ(streams_->size(), 0);
}

TEST_F(StreamTest, AnIdleStreamIsEndedAndOneThatWorksIsNot) {
  std::latch begun(1);
  std::latch go_on(1);
  Start([&](const auto& request, auto* response, const auto& cancelled) {
    begun.count_down();
    go_on.wait();
    return Echo(request, response, cancelled);
  });
  grpc::ClientContext busy_context;
  const auto busy = stub_->AttendStream(&busy_context);
  ASSERT_TRUE(busy->Write(StepOf(7)));
  begun.wait();
  grpc::ClientContext idle_context;
  const auto idle = stub_->AttendStream(&idle_context);
  while (streams_->size() < 2) std::this_thread::yield();
  streams_->EndIdle(std::chrono::hours(1));  // Nobody was idle that long.
  EXPECT_EQ(streams_->size(), 2);
  while (streams_->size() == 2) streams_->EndIdle(std::chrono::nanoseconds(1));
  v1::AttendStreamResponse response;
  EXPECT_FALSE(idle->Read(&response));
  const absl::Status ended = proto::FromGrpc(idle->Finish());
  EXPECT_EQ(ended.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(base::DetailOf(ended).reason, "STREAM_IDLE");
  go_on.count_down();
  ASSERT_TRUE(busy->Read(&response));
  EXPECT_EQ(response.append().seq_next(), 7);
  busy->WritesDone();
  EXPECT_TRUE(busy->Finish().ok());
  Stop();
}

TEST_F(StreamTest, AClientThatReadsNothingHoldsOneAnswerAtATime) {
  constexpr size_t kAnswerBytes = 3 << 20;
  std::atomic<int> answered = 0;
  Start([&](const auto& /*request*/, auto* response, const auto&) {
    response->mutable_attend()->add_outputs()->mutable_output()->set_data(
        std::string(kAnswerBytes, 'x'));
    ++answered;
    return absl::OkStatus();
  });
  grpc::ClientContext context;
  // Its writes wait as soon as the server reads no more.
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::seconds(1));
  const auto stream = stub_->AttendStream(&context);
  v1::AttendStreamRequest large;
  large.mutable_append()->set_request_id(std::string(1 << 20, 'r'));
  int written = 0;
  while (stream->Write(large)) ++written;
  EXPECT_LT(written, 20);
  // One with the client, one in the transport, one that waits for it.
  EXPECT_LE(answered, 3);
  EXPECT_FALSE(stream->Finish().ok());
  Stop();
  EXPECT_EQ(streams_->size(), 0);
}

TEST_F(StreamTest, TheFirstErrorEndsTheStreamWithItsDetails) {
  Start([](const auto& request, auto* response, const auto& cancelled) {
    if (request.append().expected_seq() == 2) {
      return base::InvalidField("append.payload", "nothing", "something");
    }
    return Echo(request, response, cancelled);
  });
  grpc::ClientContext context;
  const auto stream = stub_->AttendStream(&context);
  v1::AttendStreamResponse response;
  for (uint64_t i = 0; i < 2; ++i) {
    ASSERT_TRUE(stream->Write(StepOf(i)));
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.append().seq_next(), i);
  }
  stream->Write(StepOf(2));
  EXPECT_FALSE(stream->Read(&response));
  const absl::Status status = proto::FromGrpc(stream->Finish());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(base::DetailOf(status).field, "append.payload");
  Stop();
}

TEST_F(StreamTest, AClientThatVanishesDuringAStepLeavesNothingBehind) {
  std::latch begun(1);
  std::latch vanished(1);
  Start([&](const auto& request, auto* response, const auto& cancelled) {
    begun.count_down();
    vanished.wait();
    return Echo(request, response, cancelled);
  });
  {
    grpc::ClientContext context;
    const auto stream = stub_->AttendStream(&context);
    ASSERT_TRUE(stream->Write(StepOf(0)));
    begun.wait();
    EXPECT_EQ(streams_->size(), 1);
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  vanished.count_down();
  Stop();
  EXPECT_EQ(streams_->size(), 0);
}

TEST_F(StreamTest, AClientThatVanishesBetweenStepsLeavesNothingBehind) {
  Start(Echo);
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    const auto stream = stub_->AttendStream(&context);
    ASSERT_TRUE(stream->Write(StepOf(0)));
    v1::AttendStreamResponse response;
    ASSERT_TRUE(stream->Read(&response));
    context.TryCancel();
    stream->Finish();
  }
  Stop();
  EXPECT_EQ(streams_->size(), 0);
}

TEST_F(StreamTest, DrainEndsAnIdleStreamAndRefusesNewOnes) {
  Start(Echo);
  grpc::ClientContext context;
  const auto stream = stub_->AttendStream(&context);
  ASSERT_TRUE(stream->Write(StepOf(0)));
  v1::AttendStreamResponse response;
  ASSERT_TRUE(stream->Read(&response));
  streams_->Drain();
  EXPECT_FALSE(stream->Read(&response));
  const absl::Status status = proto::FromGrpc(stream->Finish());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(base::DetailOf(status).reason, "DRAINING");
  grpc::ClientContext late_context;
  const auto late = stub_->AttendStream(&late_context);
  EXPECT_FALSE(late->Read(&response));
  EXPECT_EQ(base::DetailOf(proto::FromGrpc(late->Finish())).reason, "DRAINING");
  Stop();
  EXPECT_EQ(streams_->size(), 0);
}

TEST_F(StreamTest, DrainLetsAStepBeAnswered) {
  std::latch begun(1);
  std::latch drained(1);
  Start([&](const auto& request, auto* response, const auto& cancelled) {
    begun.count_down();
    drained.wait();
    return Echo(request, response, cancelled);
  });
  grpc::ClientContext context;
  const auto stream = stub_->AttendStream(&context);
  ASSERT_TRUE(stream->Write(StepOf(7)));
  begun.wait();
  streams_->Drain();
  drained.count_down();
  v1::AttendStreamResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.append().seq_next(), 7);
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  Stop();
}

TEST_F(StreamTest, MoreStreamsThanMayBeOpenAreRefused) {
  streams_ = std::make_unique<OpenStreams>(&clock_, 1);
  Start(Echo);
  grpc::ClientContext first_context;
  const auto first = stub_->AttendStream(&first_context);
  v1::AttendStreamResponse response;
  ASSERT_TRUE(first->Write(StepOf(0)));
  ASSERT_TRUE(first->Read(&response));
  grpc::ClientContext second_context;
  const auto second = stub_->AttendStream(&second_context);
  second->Write(StepOf(0));
  EXPECT_FALSE(second->Read(&response));
  const absl::Status status = proto::FromGrpc(second->Finish());
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(base::DetailOf(status).reason, "TOO_MANY_STREAMS");
  first->WritesDone();
  EXPECT_TRUE(first->Finish().ok());
  Stop();
}

}  // namespace
}  // namespace mneme::service
