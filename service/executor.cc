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

Executor::Executor(Options options) : options_(std::move(options)) {
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
        .push_back({bytes, std::move(task)});
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

size_t Executor::queued() const {
  base::MutexLock lock(&mutex_);
  return reads_.size() + writes_.size();
}

void Executor::Loop() {
  if (options_.on_thread_start) options_.on_thread_start();
  while (true) {
    Task task;
    {
      base::MutexLock lock(&mutex_);
      while (reads_.empty() && writes_.empty() && !stopping_) {
        wake_.Wait(&mutex_);
      }
      if (reads_.empty() && writes_.empty()) return;
      task = Next();
    }
    task.run();
  }
}

Executor::Task Executor::Next() {
  const bool write_is_due = reads_in_a_row_ >= kReadsPerWrite;
  const bool take_read = !reads_.empty() && (writes_.empty() || !write_is_due);
  // Reads count only while a write waits behind them.
  reads_in_a_row_ = take_read && !writes_.empty() ? reads_in_a_row_ + 1 : 0;
  std::deque<Task>& queue = take_read ? reads_ : writes_;
  Task task = std::move(queue.front());
  queue.pop_front();
  queued_bytes_ -= task.bytes;
  return task;
}

}  // namespace mneme::service
