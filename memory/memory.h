// memory/memory.h: every session of one data directory.
// Finds, creates, lists and deletes sessions, opens them on demand, and seals
// their runs in the background.

#ifndef MNEME_MEMORY_MEMORY_H_
#define MNEME_MEMORY_MEMORY_H_

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "memory/session.h"
#include "memory/store.h"

namespace mneme::memory {

// Threads: any.
class Memory {
 public:
  // Reads the list of sessions; sessions themselves are opened on first use.
  // Errors: FAILED_PRECONDITION FORMAT_TOO_NEW; DATA_LOSS; the store's.
  // Lifetime: `clock` outlives the memory.
  static absl::StatusOr<std::unique_ptr<Memory>> Open(
      std::unique_ptr<Store> store, const base::Clock* clock);
  // Waits for the sealing thread. No call may be under way.
  ~Memory();

  // Errors: ALREADY_EXISTS; INVALID_ARGUMENT for a bad profile; the store's.
  absl::StatusOr<std::shared_ptr<Session>> Create(const SessionName& name,
                                                  Profile profile);

  // Opens the session if it is not. Errors: NOT_FOUND; those of Session::Open.
  absl::StatusOr<std::shared_ptr<Session>> Find(const SessionName& name);

  // Up to `limit` names of `space` after `after` (empty: from the start).
  std::vector<SessionName> List(const std::string& space,
                                const std::string& after, size_t limit) const;

  // Errors: NOT_FOUND; the store's, and then nothing was deleted. Calls that
  // hold the session may still read it; appends to it are refused.
  absl::Status Delete(const SessionName& name);

  // Tells the sealing thread that a session grew.
  void Grew(const std::shared_ptr<Session>& session);

  struct Counts {
    uint64_t sessions = 0;
    uint64_t open_sessions = 0;
    uint64_t disk_bytes = 0;
  };
  Counts Count() const;

 private:
  // A known session; `session` is null until first use.
  struct Slot {
    Session::Header header;
    base::Mutex opening;
    std::shared_ptr<Session> session ABSL_GUARDED_BY(opening);
  };
  using Key = std::pair<std::string, std::string>;  // Namespace, session.

  Memory(std::unique_ptr<Store> store, const base::Clock* clock);
  void SealLoop();

  const std::unique_ptr<Store> store_;
  const base::Clock* const clock_;

  mutable base::Mutex mutex_;
  std::map<Key, std::shared_ptr<Slot>> slots_ ABSL_GUARDED_BY(mutex_);
  uint64_t uid_next_ ABSL_GUARDED_BY(mutex_) = 1;

  base::Mutex seal_mutex_;
  base::CondVar seal_wake_;
  std::vector<std::weak_ptr<Session>> seal_queue_ ABSL_GUARDED_BY(seal_mutex_);
  bool stopping_ ABSL_GUARDED_BY(seal_mutex_) = false;
  std::thread seal_thread_;
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_MEMORY_H_
