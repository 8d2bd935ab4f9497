// memory/operations.h: forgets and deletions whose bytes have yet to leave the
// disk, durably, so that a restart goes on with them.

#ifndef MNEME_MEMORY_OPERATIONS_H_
#define MNEME_MEMORY_OPERATIONS_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "memory/store.h"

namespace mneme::memory {

struct Operation {
  enum class Kind : uint8_t { kForget, kDeleteSession, kDeleteNamespace };

  std::string space = {};
  std::string id = {};  // Random: it tells nothing about other namespaces.
  Kind kind = Kind::kForget;
  int64_t create_time_us = 0;
  int64_t done_time_us = 0;         // 0: not done.
  std::string session = {};         // Whose forgetting is to be cleaned up.
  std::vector<uint64_t> uids = {};  // Whose records are to be rewritten.
  std::string error = {};           // Of the last try; not stored.

  bool done() const { return done_time_us != 0; }
  // namespaces/{space}/operations/{id}.
  std::string ToString() const;
};

// Threads: any.
class Operations {
 public:
  // Done operations are known this long, and this many of a namespace.
  static constexpr int64_t kKeptSeconds = int64_t{24} * 60 * 60;
  static constexpr size_t kKeptMax = 1000;

  // Lifetime: both outlive it.
  Operations(Store* store, const base::Clock* clock);

  // A record that is damaged is dropped with a line in the log.
  // Errors: FAILED_PRECONDITION FORMAT_TOO_NEW; the store's.
  absl::Status Load();

  // A new operation; Put makes it durable, Add makes it known.
  Operation New(const std::string& space, Operation::Kind kind) const;
  static void Put(const Operation& operation, WriteBatch& batch);
  void Add(Operation operation);

  // Errors: INVALID_ARGUMENT for another form; NOT_FOUND.
  absl::StatusOr<Operation> Find(std::string_view name) const;
  // Those that are not done, oldest first.
  std::vector<Operation> Pending() const;
  uint64_t pending_count() const;

  // Durably; forgets what was done long before, and the samples of what it
  // deleted. Errors: the store's.
  absl::Status Finish(const std::vector<Operation>& operations);
  // It will be tried again. Whoever asks learns the code and no more.
  void Fail(const Operation& operation, absl::StatusCode code);

 private:
  using Key = std::pair<std::string, std::string>;  // Namespace, id.

  // Those done before then, and those of a namespace that are too many.
  std::vector<Key> DoneBefore(int64_t time_us) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Store* const store_;
  const base::Clock* const clock_;
  mutable base::Mutex mutex_;
  std::map<Key, Operation> operations_ ABSL_GUARDED_BY(mutex_);
  uint64_t pending_count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_OPERATIONS_H_
