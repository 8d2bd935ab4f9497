// service/executor.h: the threads that work, and the bounded queue before them.
// gRPC's threads only parse and admit; a full queue says so at once instead of
// letting callers wait for what will be too late.

#ifndef MNEME_SERVICE_EXECUTOR_H_
#define MNEME_SERVICE_EXECUTOR_H_

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace mneme::service {

// Threads:  any thread may submit; tasks may submit.
class Executor {
 public:
  // Somebody waits for a read; a write can follow. Yet a stream of reads never
  // keeps writes from progressing: one that has waited for kWriteAge goes
  // before reads, after kReadsPerWrite of them in a row. And a flood of writes
  // never keeps reads waiting: half of the threads take no writes, unless there
  // is but one.
  enum class Priority { kRead, kWrite };
  static constexpr int kReadsPerWrite = 4;
  // Some reads long: nobody notices, and a burst of reads goes first.
  static constexpr std::chrono::milliseconds kWriteAge{20};

  struct Depth {
    size_t reads = 0;
    size_t writes = 0;
  };

  struct Options {
    int threads = 1;
    // Waiting tasks, and the bytes of the requests they hold.
    size_t queue_tasks = 1024;
    size_t queue_bytes = size_t{512} << 20;
    // Called by each thread before its first task; may be empty. `only_reads`
    // is false for the threads that take both.
    std::function<void(bool only_reads)> on_thread_start = {};
    // Called with what a task waited, before it starts; may be empty.
    std::function<void(Priority priority,
                       std::chrono::steady_clock::duration waited)>
        on_task_start = {};
    // Null: the real one. Lifetime: outlives the executor.
    const base::Clock* clock = nullptr;
  };

  // REQUIRES: at least one thread and room for one task.
  explicit Executor(Options options);
  // Stops.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Queues `task`, which must not throw; tasks of one priority start in order.
  // Errors:   RESOURCE_EXHAUSTED QUEUE_FULL with a retry delay; UNAVAILABLE
  //           DRAINING after Stop. On an error the task is not run.
  absl::Status Submit(Priority priority, size_t bytes,
                      std::function<void()> task);

  // Refuses what is new, runs what is queued, ends the threads. Again: nothing.
  // REQUIRES: not called by a task.
  void Stop();

  // Tasks that wait.
  Depth queued() const;

  // Writes that may run at once.
  int writes_max() const { return writes_max_; }

 private:
  struct Task {
    size_t bytes = 0;
    std::chrono::steady_clock::time_point came = {};
    Priority priority = Priority::kRead;
    std::function<void()> run = {};
  };

  void Loop(bool only_reads);
  bool WriteIsDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Task Next(bool only_reads) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const base::RealClock real_clock_;
  const base::Clock* const clock_;
  const int writes_max_;
  mutable base::Mutex mutex_;
  base::CondVar wake_reader_;  // The threads that take only reads.
  base::CondVar wake_both_;    // The others.
  size_t idle_readers_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<Task> reads_ ABSL_GUARDED_BY(mutex_);
  std::deque<Task> writes_ ABSL_GUARDED_BY(mutex_);
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  int reads_in_a_row_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_EXECUTOR_H_
