// memory/memory.h: every session of one data directory.
// Finds, creates, lists and deletes sessions, opens them on demand, and seals
// their runs and compacts what they forgot in the background.

#ifndef MNEME_MEMORY_MEMORY_H_
#define MNEME_MEMORY_MEMORY_H_

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "memory/import.h"
#include "memory/manifest.h"
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
  // Waits for the background thread. No call may be under way.
  ~Memory();

  // Errors: ALREADY_EXISTS; INVALID_ARGUMENT for a bad profile; the store's.
  absl::StatusOr<std::shared_ptr<Session>> Create(const SessionName& name,
                                                  Profile profile);

  // Begins to make a session of what an export gave; nobody sees it before
  // FinishImport. Dropped before that, it leaves nothing.
  // Errors: ALREADY_EXISTS; INVALID_ARGUMENT for a bad manifest; the store's.
  // Lifetime: the memory outlives the import.
  absl::StatusOr<std::unique_ptr<SessionImport>> StartImport(
      const SessionName& name, Manifest manifest);
  // Makes the session exist. Errors: ALREADY_EXISTS, when another has taken the
  // name meanwhile; the store's.
  // REQUIRES: the import's End returned OK.
  absl::StatusOr<std::shared_ptr<Session>> FinishImport(SessionImport& import);

  // Opens the session if it is not. Errors: NOT_FOUND; those of Session::Open.
  absl::StatusOr<std::shared_ptr<Session>> Find(const SessionName& name);

  // A session at a glance; one that is not open is not opened for it.
  // Errors: NOT_FOUND; DATA_LOSS.
  struct Description {
    Profile profile;
    SessionInfo info;
  };
  absl::StatusOr<Description> Describe(const SessionName& name);

  // Up to `limit` names of `space` after `after` (empty: from the start).
  std::vector<SessionName> List(const std::string& space,
                                const std::string& after, size_t limit) const;

  // Errors: NOT_FOUND; the store's, and then nothing was deleted. Calls that
  // hold the session may still read it; appends to it are refused.
  absl::Status Delete(const SessionName& name);

  // Tells the background thread that a session changed: there may be a run to
  // seal, or forgotten bytes to compact away.
  void Changed(const std::shared_ptr<Session>& session);

  struct Counts {
    uint64_t sessions = 0;
    uint64_t open_sessions = 0;
    uint64_t disk_bytes = 0;
  };
  Counts Count() const;

 private:
  // A known session; `session` is null until first use. `opening` is held while
  // its header or its existence is being written, and while it is opened.
  struct Slot {
    Session::Header header;
    absl::Status damage;  // Why the header could not be read.
    base::Mutex opening;
    bool deleted ABSL_GUARDED_BY(opening) = false;
    std::shared_ptr<Session> session ABSL_GUARDED_BY(opening);
  };
  using Key = std::pair<std::string, std::string>;  // Namespace, session.

  Memory(std::unique_ptr<Store> store, const base::Clock* clock);
  absl::Status LoadHeaders();
  // Deletes what imports wrote that never ended.
  void DropImports();
  // Takes a uid; `batch` makes that durable.
  uint64_t TakeUid(WriteBatch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(creating_);
  // Writes `batch`, and with it the header: from then on the session exists.
  absl::Status Add(Session::Header header, WriteBatch batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(creating_);
  absl::StatusOr<std::shared_ptr<Slot>> FindSlot(const SessionName& name) const;
  absl::StatusOr<std::shared_ptr<Session>> OpenIn(Slot& slot)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(slot.opening);
  void MaintainLoop();
  // One piece of work for a session; whether there may be more.
  bool Maintain(Session& session);

  const std::unique_ptr<Store> store_;
  const base::Clock* const clock_;

  mutable base::Mutex mutex_;
  std::map<Key, std::shared_ptr<Slot>> slots_ ABSL_GUARDED_BY(mutex_);
  std::atomic<uint64_t> open_count_{0};

  base::Mutex creating_;  // Held over the write that makes a session.
  uint64_t uid_next_ ABSL_GUARDED_BY(creating_) = 1;

  base::Mutex queue_mutex_;
  base::CondVar queue_wake_;
  std::vector<std::weak_ptr<Session>> changed_ ABSL_GUARDED_BY(queue_mutex_);
  // Records of deleted sessions, to be compacted away.
  std::vector<std::pair<std::string, std::string>> deleted_
      ABSL_GUARDED_BY(queue_mutex_);
  std::atomic<bool> stopping_{false};
  std::thread maintenance_;
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_MEMORY_H_
