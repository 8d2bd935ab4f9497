#include "service/door.h"

#include <grpcpp/test/default_reactor_test_peer.h>

#include <algorithm>
#include <future>
#include <latch>
#include <memory>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mneme/v1/memory_service.pb.h"
#include "proto/status.h"

namespace mneme::service {
namespace {

using ::testing::HasSubstr;

// A context without a deadline has it at the end of time.
class EndOfTime final : public base::Clock {
 public:
  std::chrono::system_clock::time_point Now() const override {
    return std::chrono::system_clock::time_point::max();
  }
  std::chrono::steady_clock::time_point Ticks() const override { return {}; }
};

class DoorTest : public ::testing::Test {
 protected:
  // What a caller of the method learns.
  absl::Status Serve(Door::Work work) { return Serve(door_, std::move(work)); }
  absl::Status Serve(Door& door, Door::Work work) {
    std::promise<grpc::Status> answer;
    // The peer still touches its context after it has answered.
    contexts_.push_back(std::make_unique<grpc::CallbackServerContext>());
    grpc::testing::DefaultReactorTestPeer peer(
        contexts_.back().get(),
        [&answer](const grpc::Status& status) { answer.set_value(status); });
    EXPECT_EQ(door.Serve(contexts_.back().get(),
                         {.method = "Stats",
                          .session = "namespaces/n/sessions/s",
                          .request = &request_,
                          .response = &response_,
                          .charge = charge_},
                         std::move(work)),
              peer.reactor());
    return proto::FromGrpc(answer.get_future().get());
  }

  Limits::Charge charge_ = Limits::Charge::kNothing;
  v1::StatsRequest request_;
  v1::StatsResponse response_;
  std::vector<std::unique_ptr<grpc::CallbackServerContext>> contexts_;
  base::RealClock clock_;
  Metrics metrics_{"test", "test"};
  // Asked for sessions, as if one were stored.
  Limits limits_{&clock_,
                 {.bytes = [](const std::string&) { return uint64_t{0}; },
                  .sessions = [](const std::string&) { return uint64_t{1}; }}};
  Executor executor_{{.threads = 1, .queue_tasks = 1}};
  Door door_{&executor_, &metrics_, &limits_, &clock_};
};

TEST_F(DoorTest, WorkRunsOnTheExecutorAndItsStatusIsTheAnswer) {
  std::thread::id ran_on;
  EXPECT_TRUE(Serve([&](const memory::Cancelled& cancelled) {
                EXPECT_FALSE(cancelled());
                ran_on = std::this_thread::get_id();
                return absl::OkStatus();
              }).ok());
  EXPECT_NE(ran_on, std::this_thread::get_id());
  const absl::Status refused = Serve([](const memory::Cancelled&) {
    return base::InvalidField("limit", "0", "1 to 1000");
  });
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(base::DetailOf(refused).field, "limit");
}

TEST_F(DoorTest, AnExceptionIsInternalAndTheServerLivesOn) {
  const absl::Status memory = Serve(
      [](const memory::Cancelled&) -> absl::Status { throw std::bad_alloc(); });
  EXPECT_EQ(memory.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(base::DetailOf(memory).reason, "OUT_OF_MEMORY");
  const absl::Status library =
      Serve([](const memory::Cancelled&) -> absl::Status {
        throw std::runtime_error("nlist is 0");
      });
  EXPECT_EQ(library.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(library.message()), HasSubstr("nlist is 0"));
  const absl::Status unknown =
      Serve([](const memory::Cancelled&) -> absl::Status { throw 7; });
  EXPECT_EQ(unknown.code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(
      Serve([](const memory::Cancelled&) { return absl::OkStatus(); }).ok());
}

TEST_F(DoorTest, WorkIsNotBegunAfterTheDeadline) {
  const EndOfTime clock;
  Door door(&executor_, &metrics_, &limits_, &clock);
  bool ran = false;
  const absl::Status status = Serve(door, [&ran](const memory::Cancelled&) {
    ran = true;
    return absl::OkStatus();
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(ran);
}

TEST_F(DoorTest, AFullQueueIsAnsweredAtOnce) {
  std::latch entered(1);
  std::latch open(1);
  ASSERT_TRUE(executor_
                  .Submit(Executor::Priority::kRead, 0,
                          [&] {
                            entered.count_down();
                            open.wait();
                          })
                  .ok());
  entered.wait();
  ASSERT_TRUE(executor_.Submit(Executor::Priority::kRead, 0, [] {}).ok());
  // The thread still waits, so this was answered by the caller's.
  const absl::Status full =
      Serve([](const memory::Cancelled&) { return absl::OkStatus(); });
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(base::DetailOf(full).reason, "QUEUE_FULL");
  EXPECT_TRUE(base::DetailOf(full).retry_after);
  open.count_down();
}

TEST_F(DoorTest, ANamespaceAtItsLimitIsRefusedBeforeTheQueue) {
  limits_.Set({.defaults = {.in_flight = 1}});
  bool ran = false;
  EXPECT_TRUE(
      Serve([&](const memory::Cancelled&) {
        // Its own place is taken while it works.
        ran = true;
        EXPECT_FALSE(limits_.Admit("n", Limits::Charge::kNothing, 1).ok());
        EXPECT_TRUE(limits_.Admit("m", Limits::Charge::kNothing, 1).ok());
        return absl::OkStatus();
      }).ok());
  EXPECT_TRUE(ran);
  // And free again afterwards, also after an error.
  EXPECT_EQ(Serve([](const memory::Cancelled&) {
              return absl::DataLossError("x");
            }).code(),
            absl::StatusCode::kDataLoss);
  executor_.Stop();
  const auto held = limits_.Admit("n", Limits::Charge::kNothing, 1);
  ASSERT_TRUE(held.ok());
  const absl::Status refused =
      Serve([](const memory::Cancelled&) { return absl::OkStatus(); });
  // Not DRAINING: it did not get as far as the queue.
  EXPECT_EQ(base::DetailOf(refused).reason, "QUOTA_IN_FLIGHT");
  EXPECT_EQ(base::DetailOf(refused).quota, "namespaces/n");
  EXPECT_TRUE(base::DetailOf(refused).retry_after);
}

TEST_F(DoorTest, RoomIsCheckedBeforeTheWork) {
  limits_.Set({.defaults = {.sessions = 1}});
  charge_ = Limits::Charge::kSession;
  bool ran = false;
  const absl::Status refused = Serve([&ran](const memory::Cancelled&) {
    ran = true;
    return absl::OkStatus();
  });
  EXPECT_EQ(base::DetailOf(refused).reason, "QUOTA_SESSIONS");
  EXPECT_FALSE(base::DetailOf(refused).retry_after);
  EXPECT_FALSE(ran);
}

TEST_F(DoorTest, EveryRequestIsCounted) {
  EXPECT_TRUE(
      Serve([](const memory::Cancelled&) { return absl::OkStatus(); }).ok());
  EXPECT_FALSE(Serve([](const memory::Cancelled&) {
                 return absl::DataLossError("x");
               }).ok());
  const std::string text = metrics_.Text({});
  EXPECT_THAT(text, HasSubstr("{code=\"OK\",method=\"Stats\"} 1"));
  EXPECT_THAT(text, HasSubstr("{code=\"DATA_LOSS\",method=\"Stats\"} 1"));
  EXPECT_THAT(text, HasSubstr("mneme_in_flight 0\n"));
}

TEST_F(DoorTest, OneLogLineARequestWithoutItsPayload) {
  ::testing::internal::CaptureStderr();
  EXPECT_FALSE(Serve([](const memory::Cancelled&) {
                 return base::InvalidField("query", "a secret", "words");
               }).ok());
  const std::string line = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(line, HasSubstr("\"method\":\"Stats\""));
  EXPECT_THAT(line, HasSubstr("\"session\":\"namespaces/n/sessions/s\""));
  EXPECT_THAT(line, HasSubstr("\"code\":\"INVALID_ARGUMENT\""));
  EXPECT_THAT(line, HasSubstr("\"reason\":\"INVALID_FIELD\""));
  EXPECT_EQ(line.find("secret"), std::string::npos);
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
}

}  // namespace
}  // namespace mneme::service
