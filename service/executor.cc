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
    threads_.emplace_back([this] { Loop(); });
  }
}

Executor::~Executor() { Stop(); }

absl::Status Executor::Submit(Priority priority, size_t bytes,
                              std::function<void()> task) {
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
  }
  wake_.NotifyOne();
  return absl::OkStatus();
}

void Executor::Stop() {
  {
    base::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

Executor::Depth Executor::queued() const {
  base::MutexLock lock(&mutex_);
  return {.reads = reads_.size(), .writes = writes_.size()};
}

void Executor::Loop() {
  if (options_.on_thread_start) options_.on_thread_start();
  while (true) {
    Task task;
    {
      base::MutexLock lock(&mutex_);
      while (!MayStart()) {
        // A write that waits for another to end is that one's to wake.
        if (stopping_ && reads_.empty() && writes_.empty()) return;
        wake_.Wait(&mutex_);
      }
      task = Next();
    }
    if (options_.on_task_start) {
      options_.on_task_start(task.priority, clock_->Ticks() - task.came);
    }
    task.run();
    Ended(task.priority);
  }
}

bool Executor::MayStartWrite() const {
  return !writes_.empty() && writes_running_ < writes_max_;
}

bool Executor::MayStart() const { return !reads_.empty() || MayStartWrite(); }

bool Executor::WriteIsDue() const {
  return reads_in_a_row_ >= kReadsPerWrite &&
         clock_->Ticks() - writes_.front().came >= kWriteAge;
}

Executor::Task Executor::Next() {
  const bool take_write = MayStartWrite() && (reads_.empty() || WriteIsDue());
  // Reads count only while a write waits behind them.
  reads_in_a_row_ = take_write || writes_.empty() ? 0 : reads_in_a_row_ + 1;
  std::deque<Task>& queue = take_write ? writes_ : reads_;
  Task task = std::move(queue.front());
  queue.pop_front();
  queued_bytes_ -= task.bytes;
  if (take_write) ++writes_running_;
  return task;
}

void Executor::Ended(Priority priority) {
  if (priority == Priority::kRead) return;
  base::MutexLock lock(&mutex_);
  --writes_running_;
  if (stopping_) {
    wake_.NotifyAll();  // Those that waited for this may end.
  } else if (MayStartWrite()) {
    wake_.NotifyOne();  // This thread may take a read.
  }
}

}  // namespace mneme::service
