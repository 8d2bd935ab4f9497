#include "service/executor.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error.h"

namespace mneme::service {
namespace {

// Long enough for some of a full queue to have gone, short enough not to be
// noticed by people.
constexpr std::chrono::milliseconds kRetryAfter{100};

}  // namespace

Executor::Executor(Options options)
    : options_(std::move(options)),
      clock_(options_.clock != nullptr ? options_.clock : &real_clock_),
      writes_max_((options_.threads + 1) / 2) {
  CHECK(options_.threads > 0);
  CHECK(options_.queue_tasks > 0);
  threads_.reserve(options_.threads);
  for (int i = 0; i < options_.threads; ++i) {
    threads_.emplace_back([this, i] { Loop(/*only_reads=*/i >= writes_max_); });
  }
}

Executor::~Executor() { Stop(); }

absl::Status Executor::Submit(Priority priority, size_t bytes,
                              std::function<void()> task) {
  bool reader_is_idle = false;
  {
    base::MutexLock lock(&mutex_);
    if (stopping_) {
      return base::Error(absl::StatusCode::kUnavailable,
                         "the server is shutting down",
                         {.reason = "DRAINING",
                          .field = "",
                          .metadata = {},
                          .retry_after = {}});
    }
    const size_t waiting = reads_.size() + writes_.size();
    // A lone request is taken whatever its size, or it never could be.
    const bool bytes_full =
        waiting > 0 && queued_bytes_ + bytes > options_.queue_bytes;
    if (waiting >= options_.queue_tasks || bytes_full) {
      return base::Error(
          absl::StatusCode::kResourceExhausted,
          absl::StrCat(waiting, " requests of ", queued_bytes_,
                       " bytes are waiting, and no more fit; try again later"),
          {.reason = "QUEUE_FULL",
           .field = "",
           .metadata = {{"queue_tasks", absl::StrCat(options_.queue_tasks)},
                        {"queue_bytes", absl::StrCat(options_.queue_bytes)}},
           .retry_after = kRetryAfter});
    }
    queued_bytes_ += bytes;
    (priority == Priority::kRead ? reads_ : writes_)
        .push_back({bytes, clock_->Ticks(), priority, std::move(task)});
    // Those that were woken still count until they run.
    reader_is_idle =
        priority == Priority::kRead && idle_readers_ >= reads_.size();
  }
  (reader_is_idle ? wake_reader_ : wake_both_).NotifyOne();
  return absl::OkStatus();
}

void Executor::Stop() {
  {
    base::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_reader_.NotifyAll();
  wake_both_.NotifyAll();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

Executor::Depth Executor::queued() const {
  base::MutexLock lock(&mutex_);
  return {.reads = reads_.size(), .writes = writes_.size()};
}

void Executor::Loop(bool only_reads) {
  if (options_.on_thread_start) options_.on_thread_start(only_reads);
  while (true) {
    Task task;
    {
      base::MutexLock lock(&mutex_);
      while (reads_.empty() && (only_reads || writes_.empty())) {
        if (stopping_) return;
        if (only_reads) {
          ++idle_readers_;
          wake_reader_.Wait(&mutex_);
          --idle_readers_;
        } else {
          wake_both_.Wait(&mutex_);
        }
      }
      task = Next(only_reads);
    }
    if (options_.on_task_start) {
      options_.on_task_start(task.priority, clock_->Ticks() - task.came);
    }
    task.run();
  }
}

bool Executor::WriteIsDue() const {
  return reads_in_a_row_ >= kReadsPerWrite &&
         clock_->Ticks() - writes_.front().came >= kWriteAge;
}

Executor::Task Executor::Next(bool only_reads) {
  const bool take_write =
      !only_reads && !writes_.empty() && (reads_.empty() || WriteIsDue());
  // This thread may have been woken for the write.
  if (!only_reads && !take_write && !writes_.empty()) wake_both_.NotifyOne();
  // Reads count only while a write waits behind them.
  reads_in_a_row_ = take_write || writes_.empty() ? 0 : reads_in_a_row_ + 1;
  std::deque<Task>& queue = take_write ? writes_ : reads_;
  Task task = std::move(queue.front());
  queue.pop_front();
  queued_bytes_ -= task.bytes;
  return task;
}

}  // namespace mneme::service
