#include "service/executor.h"

#include <atomic>
#include <barrier>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace mneme::service {
namespace {

using Priority = Executor::Priority;
using ::testing::ElementsAre;

// Occupies an executor's only thread until Open.
class Gate {
 public:
  explicit Gate(Executor* executor) {
    EXPECT_TRUE(executor
                    ->Submit(Priority::kRead, 0,
                             [latches = latches_] {
                               latches->entered.count_down();
                               latches->open.wait();
                             })
                    .ok());
    latches_->entered.wait();
  }
  ~Gate() { Open(); }
  void Open() {
    if (!std::exchange(opened_, true)) latches_->open.count_down();
  }

 private:
  // The task may still be leaving wait() when the gate is gone.
  struct Latches {
    std::latch entered{1};
    std::latch open{1};
  };
  const std::shared_ptr<Latches> latches_ = std::make_shared<Latches>();
  bool opened_ = false;
};

// Names of the tasks in the order they ran, on one thread.
class Order {
 public:
  void Submit(Executor& executor, Priority priority, const std::string& name) {
    EXPECT_TRUE(
        executor.Submit(priority, 0, [this, name] { ran_.push_back(name); })
            .ok());
  }
  const std::vector<std::string>& ran() const { return ran_; }

 private:
  std::vector<std::string> ran_;  // By the one thread; read after Stop.
};

TEST(Executor, TasksOfOnePriorityStartInOrder) {
  Executor executor({.threads = 1});
  Order order;
  for (const char* name : {"a", "b", "c"}) {
    order.Submit(executor, Priority::kWrite, name);
  }
  executor.Stop();
  EXPECT_THAT(order.ran(), ElementsAre("a", "b", "c"));
}

TEST(Executor, ReadsGoBeforeWritesThatCameEarlier) {
  Executor executor({.threads = 1});
  Order order;
  Gate gate(&executor);
  order.Submit(executor, Priority::kWrite, "write");
  order.Submit(executor, Priority::kRead, "read 1");
  order.Submit(executor, Priority::kRead, "read 2");
  gate.Open();
  executor.Stop();
  EXPECT_THAT(order.ran(), ElementsAre("read 1", "read 2", "write"));
}

TEST(Executor, AWriteThatIsNotOldWaitsForAllReads) {
  testing::FakeClock clock;
  Executor executor({.threads = 1, .clock = &clock});
  Order order;
  Gate gate(&executor);
  order.Submit(executor, Priority::kWrite, "w");
  clock.Pass(Executor::kWriteAge - std::chrono::nanoseconds(1));
  for (int i = 0; i < 6; ++i) order.Submit(executor, Priority::kRead, "r");
  gate.Open();
  executor.Stop();
  EXPECT_THAT(order.ran(), ElementsAre("r", "r", "r", "r", "r", "r", "w"));
}

TEST(Executor, AnOldWriteGoesAfterFourReadsInARow) {
  testing::FakeClock clock;
  Executor executor({.threads = 1, .clock = &clock});
  Order order;
  Gate gate(&executor);
  order.Submit(executor, Priority::kWrite, "w1");
  order.Submit(executor, Priority::kWrite, "w2");
  clock.Pass(Executor::kWriteAge);
  for (int i = 0; i < 10; ++i) order.Submit(executor, Priority::kRead, "r");
  gate.Open();
  executor.Stop();
  EXPECT_THAT(order.ran(), ElementsAre("r", "r", "r", "r", "w1", "r", "r", "r",
                                       "r", "w2", "r", "r"));
}

TEST(Executor, AFullQueueRefusesAtOnceAndSaysWhenToRetry) {
  Executor executor({.threads = 1, .queue_tasks = 2});
  Gate gate(&executor);
  std::atomic<int> ran = 0;
  const auto task = [&ran] { ++ran; };
  EXPECT_TRUE(executor.Submit(Priority::kRead, 0, task).ok());
  EXPECT_TRUE(executor.Submit(Priority::kWrite, 0, task).ok());
  EXPECT_EQ(executor.queued().reads, 1);
  EXPECT_EQ(executor.queued().writes, 1);
  for (const Priority priority : {Priority::kRead, Priority::kWrite}) {
    const absl::Status full = executor.Submit(priority, 0, task);
    EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(base::DetailOf(full).reason, "QUEUE_FULL");
    ASSERT_TRUE(base::DetailOf(full).retry_after);
    EXPECT_GT(base::DetailOf(full).retry_after->count(), 0);
  }
  gate.Open();
  executor.Stop();
  EXPECT_EQ(ran, 2);
}

TEST(Executor, TheBytesOfWaitingRequestsFillTheQueueToo) {
  Executor executor({.threads = 1, .queue_tasks = 100, .queue_bytes = 1000});
  Gate gate(&executor);
  EXPECT_TRUE(executor.Submit(Priority::kRead, 600, [] {}).ok());
  EXPECT_EQ(executor.Submit(Priority::kRead, 401, [] {}).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(executor.Submit(Priority::kRead, 400, [] {}).ok());
}

TEST(Executor, ALoneRequestIsTakenWhateverItsSize) {
  Executor executor({.threads = 1, .queue_tasks = 100, .queue_bytes = 1000});
  Gate gate(&executor);
  EXPECT_TRUE(executor.Submit(Priority::kRead, 5000, [] {}).ok());
  EXPECT_FALSE(executor.Submit(Priority::kRead, 1, [] {}).ok());
}

TEST(Executor, BytesAreFreeAgainWhenATaskHasStarted) {
  Executor executor({.threads = 1, .queue_tasks = 100, .queue_bytes = 10});
  for (int i = 0; i < 20; ++i) {
    const auto ran = std::make_shared<std::latch>(1);
    ASSERT_TRUE(
        executor.Submit(Priority::kWrite, 10, [ran] { ran->count_down(); })
            .ok());
    ran->wait();
  }
}

TEST(Executor, StopRunsWhatIsQueuedAndRefusesWhatIsNew) {
  Executor executor({.threads = 1});
  std::atomic<int> ran = 0;
  {
    Gate gate(&executor);
    for (int i = 0; i < 10; ++i) {
      EXPECT_TRUE(executor.Submit(Priority::kRead, 0, [&ran] { ++ran; }).ok());
    }
  }
  executor.Stop();
  EXPECT_EQ(ran, 10);
  const absl::Status late = executor.Submit(Priority::kRead, 0, [] {});
  EXPECT_EQ(late.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(base::DetailOf(late).reason, "DRAINING");
  executor.Stop();  // Again: nothing.
}

TEST(Executor, HalfOfTheThreadsStartNoWrite) {
  for (const int threads : {2, 3, 4, 8}) {
    Executor executor({.threads = threads});
    ASSERT_EQ(executor.writes_max(), (threads + 1) / 2);
    std::atomic<int> running = 0;
    std::atomic<int> most = 0;
    std::latch entered(executor.writes_max());
    std::latch open(1);
    for (int i = 0; i < 4 * threads; ++i) {
      ASSERT_TRUE(executor
                      .Submit(Priority::kWrite, 0,
                              [&] {
                                most = std::max<int>(most, ++running);
                                if (!entered.try_wait()) entered.count_down();
                                open.wait();
                                --running;
                              })
                      .ok());
    }
    entered.wait();
    // All the others answer reads while every write that may run hangs.
    std::latch reads(threads - executor.writes_max());
    for (int i = 0; i < threads - executor.writes_max(); ++i) {
      ASSERT_TRUE(
          executor
              .Submit(Priority::kRead, 0, [&reads] { reads.arrive_and_wait(); })
              .ok());
    }
    reads.wait();
    EXPECT_EQ(most, executor.writes_max());
    open.count_down();
    executor.Stop();
    EXPECT_EQ(running, 0);
    EXPECT_LE(most, executor.writes_max());
  }
}

TEST(Executor, SaysWhatATaskWaited) {
  testing::FakeClock clock;
  std::vector<std::pair<Priority, std::chrono::steady_clock::duration>> waits;
  Executor executor({.threads = 1,
                     .on_task_start =
                         [&waits](Priority priority, auto waited) {
                           waits.emplace_back(priority, waited);
                         },
                     .clock = &clock});
  Gate gate(&executor);
  ASSERT_TRUE(executor.Submit(Priority::kWrite, 0, [] {}).ok());
  clock.Pass(std::chrono::milliseconds(5));
  gate.Open();
  executor.Stop();
  EXPECT_THAT(
      waits,
      ElementsAre(std::pair(Priority::kRead, std::chrono::seconds(0)),
                  std::pair(Priority::kWrite, std::chrono::milliseconds(5))));
}

thread_local bool thread_is_set_up = false;

TEST(Executor, EveryThreadIsSetUpBeforeItsFirstTask) {
  constexpr int kThreads = 4;
  Executor executor({.threads = kThreads,
                     .on_thread_start = [](bool) { thread_is_set_up = true; }});
  std::atomic<int> set_up = 0;
  // Nobody passes before all threads have come.
  std::barrier all(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    ASSERT_TRUE(executor
                    .Submit(Priority::kRead, 0,
                            [&] {
                              set_up += thread_is_set_up ? 1 : 0;
                              all.arrive_and_wait();
                            })
                    .ok());
  }
  executor.Stop();
  EXPECT_EQ(set_up, kThreads);
}

TEST(Executor, RunsEveryTaskOnceWhenManyThreadsSubmit) {
  constexpr int kSubmitters = 4;
  constexpr int kTasks = 500;
  Executor executor({.threads = 3, .queue_tasks = kSubmitters * kTasks});
  std::vector<std::atomic<int>> ran(kSubmitters * kTasks);
  {
    std::vector<std::jthread> submitters;
    for (int s = 0; s < kSubmitters; ++s) {
      submitters.emplace_back([&, s] {
        for (int i = 0; i < kTasks; ++i) {
          const size_t index = s * kTasks + i;
          EXPECT_TRUE(
              executor
                  .Submit(i % 2 == 0 ? Priority::kRead : Priority::kWrite, 1,
                          [&ran, index] { ++ran[index]; })
                  .ok());
        }
      });
    }
  }
  executor.Stop();
  for (const auto& count : ran) EXPECT_EQ(count, 1);
}

}  // namespace
}  // namespace mneme::service
