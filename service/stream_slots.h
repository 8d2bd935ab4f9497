// service/stream_slots.h: how many streams of a kind may be open at once.

#ifndef MNEME_SERVICE_STREAM_SLOTS_H_
#define MNEME_SERVICE_STREAM_SLOTS_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/mutex.h"

namespace mneme::service {

// Threads:  any.
class StreamSlots {
 public:
  explicit StreamSlots(size_t streams_max) : streams_max_(streams_max) {}

  // Errors:   RESOURCE_EXHAUSTED TOO_MANY_STREAMS; then nothing was taken.
  absl::Status Take() {
    base::MutexLock lock(&mutex_);
    if (open_ < streams_max_) {
      ++open_;
      return absl::OkStatus();
    }
    return base::Error(
        absl::StatusCode::kResourceExhausted,
        absl::StrCat(open_,
                     " sessions are on their way out or in, and no more "
                     "may be"),
        {.reason = "TOO_MANY_STREAMS",
         .metadata = {{"streams_max", absl::StrCat(streams_max_)}}});
  }
  // REQUIRES: a slot was taken.
  void Give() {
    base::MutexLock lock(&mutex_);
    --open_;
  }
  size_t open() const {
    base::MutexLock lock(&mutex_);
    return open_;
  }

 private:
  const size_t streams_max_;
  mutable base::Mutex mutex_;
  size_t open_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_STREAM_SLOTS_H_
