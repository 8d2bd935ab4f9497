// memory/cleaner.h: makes forgotten and deleted bytes leave the disk.

#ifndef MNEME_MEMORY_CLEANER_H_
#define MNEME_MEMORY_CLEANER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "memory/operations.h"
#include "memory/session_name.h"
#include "memory/store.h"
#include "memory/trunks.h"
#include "memory/types.h"

namespace mneme::memory {

// An operation goes three steps: the rows that its session forgot are
// overwritten, what nobody remembers leaves the trunks, and, when nobody reads
// a view of an earlier moment any more, the files are rewritten. One that fails
// is tried again, later each time, and holds up no other.
// Threads: any.
class Cleaner {
 public:
  // What those know who have the sessions.
  struct Sessions {
    // Overwrites what the session forgot in its own records. All uids that it
    // reads; none when there is no such session.
    std::function<absl::StatusOr<std::vector<uint64_t>>(const SessionName&)>
        clean;
    // See Trunks::RememberedOf. What it says only grows less.
    std::function<absl::StatusOr<std::optional<Remembered>>(uint64_t uid)>
        remembered_of;
  };

  // Lifetime: all outlive it.
  Cleaner(Store* store, Operations* operations, const base::Clock* clock,
          Sessions sessions, Cancelled stopping);

  // Goes on with every operation, or with those that are due.
  void Run(bool only_due);

 private:
  struct Progress {
    std::set<uint64_t> uids = {};
    // When their records were as they are to be; nothing: not yet.
    std::optional<uint64_t> swept_at = {};
    int failures = 0;
    std::chrono::steady_clock::time_point due = {};
  };
  using StatusByUid = std::map<uint64_t, absl::Status>;

  // The first two steps.
  absl::Status Sweep(const Operation& operation, StatusByUid& swept,
                     Progress& progress) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status SweepUid(uint64_t uid) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The last one.
  StatusByUid Compact(const std::set<uint64_t>& uids)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Fail(const Operation& operation, const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether the operation went all steps; `compacted` has the last one.
  bool Succeeded(const Operation& operation, const StatusByUid& compacted)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Store* const store_;
  Operations* const operations_;
  const base::Clock* const clock_;
  const Sessions sessions_;
  const Cancelled stopping_;
  base::Mutex mutex_;  // A sweep must not write what an earlier one read.
  std::map<std::string, Progress> progress_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_CLEANER_H_
