#include "service/open_stream.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mneme/v1/memory_service.grpc.pb.h"
#include "proto/status.h"
#include "service/attend_stream.h"
#include "tests/testing/fake_clock.h"

namespace mneme::service {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Stream =
    grpc::ClientReaderWriter<v1::AttendStreamRequest, v1::AttendStreamResponse>;

constexpr size_t kStreamsMax = 4;
constexpr std::chrono::hours kIdle{1};
constexpr size_t kAnswerBytes = 3 << 20;
// Of a stream that waited for a message, and one whose client did not read.
const auto kEnded = ::testing::AnyOf(absl::StatusCode::kDeadlineExceeded,
                                     absl::StatusCode::kCancelled);

// A server of a few streams, whose steps are answered with an answer that does
// not fit into the transport if the step asks for a large one.
class OpenStreamTest : public ::testing::Test {
 protected:
  class Service final : public v1::MemoryService::CallbackService {
   public:
    Service(Door* door, OpenStreams* streams, std::atomic<int>* answered)
        : door_(door), streams_(streams), answered_(answered) {}
    grpc::ServerBidiReactor<v1::AttendStreamRequest, v1::AttendStreamResponse>*
    AttendStream(grpc::CallbackServerContext* context) override {
      return service::AttendStream::Start(
          context, door_, streams_,
          [this](const v1::AttendStreamRequest& request,
                 v1::AttendStreamResponse* response, const memory::Cancelled&) {
            if (request.has_attend()) {
              response->mutable_attend()
                  ->add_outputs()
                  ->mutable_output()
                  ->set_data(std::string(kAnswerBytes, 'x'));
            }
            ++*answered_;
            return absl::OkStatus();
          });
    }

   private:
    Door* const door_;
    OpenStreams* const streams_;
    std::atomic<int>* const answered_;
  };

  // Of one client.
  struct Call {
    std::unique_ptr<grpc::ClientContext> context =
        std::make_unique<grpc::ClientContext>();
    std::unique_ptr<Stream> stream = {};

    absl::Status Finish() const { return proto::FromGrpc(stream->Finish()); }
  };

  OpenStreamTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::MemoryService::NewStub(server_->InProcessChannel({}));
  }
  ~OpenStreamTest() override {
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    executor_.Stop();
    EXPECT_EQ(streams_.size(), 0);
  }

  Call Open() {
    Call call;
    call.stream = stub_->AttendStream(call.context.get());
    return call;
  }
  // A stream that has had a step for `space`, unless it was refused.
  Call OpenFor(const std::string& space) {
    Call call = Open();
    v1::AttendStreamRequest step;
    step.mutable_append()->set_session("namespaces/" + space + "/sessions/s");
    call.stream->Write(step);
    v1::AttendStreamResponse response;
    call.stream->Read(&response);
    return call;
  }
  void Await(size_t count) const {
    while (streams_.size() != count) std::this_thread::yield();
  }
  // Until one stream less is open.
  void EndOne(std::chrono::steady_clock::duration idle) {
    const size_t count = streams_.size();
    while (streams_.size() == count) {
      clock_.Pass(std::chrono::seconds(1));
      streams_.EndIdle(idle);
    }
  }

  testing::FakeClock clock_;
  Metrics metrics_{"test", "test"};
  Limits limits_{&clock_, {}};
  Executor executor_{{.threads = 2}};
  Door door_{&executor_, &metrics_, &limits_, &clock_};
  OpenStreams streams_{&clock_, kStreamsMax};
  std::atomic<int> answered_ = 0;
  Service service_{&door_, &streams_, &answered_};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::MemoryService::Stub> stub_;
};

TEST_F(OpenStreamTest, OneNamespaceHasHalfOfThePlaces) {
  std::vector<Call> open;
  for (const char* space : {"a", "a", "b"}) open.push_back(OpenFor(space));
  const absl::Status refused = OpenFor("a").Finish();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(base::DetailOf(refused).reason, "TOO_MANY_STREAMS");
  EXPECT_EQ(base::DetailOf(refused).metadata.at("streams_max"), "4");
  EXPECT_EQ(base::DetailOf(refused).metadata.at("share_max"), "2");
  // What the others have open is not said.
  EXPECT_THAT(std::string(refused.message()), Not(HasSubstr("3")));
  open.push_back(OpenFor("b"));
  EXPECT_EQ(base::DetailOf(OpenFor("c").Finish()).reason, "TOO_MANY_STREAMS");
  // A place is free when its stream is gone.
  open[0].stream->WritesDone();
  EXPECT_EQ(open[0].Finish(), absl::OkStatus());
  Await(3);
  open.push_back(OpenFor("c"));
  open.back().stream->WritesDone();
  EXPECT_EQ(open.back().Finish(), absl::OkStatus());
}

TEST_F(OpenStreamTest, SilentOnesTakeNoPlaceOfThoseThatAreKnown) {
  std::vector<Call> open;
  for (const char* space : {"a", "a", "b", "b"}) open.push_back(OpenFor(space));
  const Call silent = Open();
  const Call another = Open();
  Await(6);
  // Of these too, one caller has half.
  EXPECT_EQ(base::DetailOf(Open().Finish()).reason, "TOO_MANY_STREAMS");
}

TEST_F(OpenStreamTest, AFirstMessageIsAwaitedForSeconds) {
  const Call known = OpenFor("a");
  const Call silent = Open();
  Await(2);
  clock_.Pass(OpenStreams::kFirstMessage - std::chrono::seconds(1));
  streams_.EndIdle(kIdle);
  EXPECT_EQ(streams_.size(), 2);
  EndOne(std::chrono::seconds(0));  // Even where no other stream is ended.
  EXPECT_EQ(base::DetailOf(silent.Finish()).reason, "STREAM_IDLE");
  EXPECT_EQ(streams_.size(), 1);
}

TEST_F(OpenStreamTest, AStreamThatHadAStepIsAwaitedLonger) {
  const Call known = OpenFor("a");
  clock_.Pass(kIdle - std::chrono::seconds(1));
  streams_.EndIdle(kIdle);
  EXPECT_EQ(streams_.size(), 1);
  EndOne(kIdle);
  EXPECT_THAT(known.Finish().code(), kEnded);
}

TEST_F(OpenStreamTest, AClientThatDoesNotReadIsCancelled) {
  const Call call = Open();
  v1::AttendStreamRequest step;
  step.mutable_attend()->set_session("namespaces/a/sessions/s");
  std::jthread writer([&call, &step] {
    while (call.stream->Write(step)) {
    }
  });
  while (answered_ == 0) std::this_thread::yield();
  EXPECT_EQ(streams_.size(), 1);
  EndOne(kIdle);
  v1::AttendStreamResponse response;
  while (call.stream->Read(&response)) {
  }
  writer.join();
  EXPECT_THAT(call.Finish().code(), kEnded);
}

}  // namespace
}  // namespace mneme::service
