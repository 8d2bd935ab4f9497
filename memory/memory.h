// memory/memory.h: every session of one data directory.
// Finds, creates, forks, lists and deletes sessions, opens them on demand and
// closes them when idle; in the background it seals their runs and takes what
// they forgot off the disk.

#ifndef MNEME_MEMORY_MEMORY_H_
#define MNEME_MEMORY_MEMORY_H_

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "memory/background.h"
#include "memory/cleaner.h"
#include "memory/header.h"
#include "memory/import.h"
#include "memory/manifest.h"
#include "memory/operations.h"
#include "memory/session.h"
#include "memory/shared_parts.h"
#include "memory/store.h"
#include "memory/trunks.h"

namespace mneme::memory {

struct MemoryOptions {
  // A session that nobody used for so long leaves memory until it is used
  // again.
  std::chrono::seconds idle{600};
};

// Threads: any.
class Memory {
 public:
  // Reads the list of sessions; sessions themselves are opened on first use.
  // Errors: FAILED_PRECONDITION FORMAT_TOO_NEW; DATA_LOSS; the store's.
  // Lifetime: `clock` outlives the memory.
  static absl::StatusOr<std::unique_ptr<Memory>> Open(
      std::unique_ptr<Store> store, const base::Clock* clock,
      MemoryOptions options = {});
  // Waits for the background thread. No call may be under way.
  ~Memory();

  // Errors: ALREADY_EXISTS; INVALID_ARGUMENT for a bad profile; the store's.
  absl::StatusOr<std::shared_ptr<Session>> Create(const SessionName& name,
                                                  Profile profile,
                                                  int64_t ttl_us = 0);

  // A session `fork` that remembers what `name` does below `at_seq`, or all of
  // it; its ttl is that of the forked session unless given.
  // Errors: NOT_FOUND; ALREADY_EXISTS; those of Session::Fork.
  absl::Status Fork(const SessionName& name, const SessionName& fork,
                    std::optional<uint64_t> at_seq,
                    std::optional<int64_t> ttl_us);

  // Begins to make a session of what an export gave; nobody sees it before
  // FinishImport. Dropped before that, it leaves nothing.
  // Errors: ALREADY_EXISTS; INVALID_ARGUMENT for a bad manifest; the store's.
  // Lifetime: the memory outlives the import.
  absl::StatusOr<std::unique_ptr<SessionImport>> StartImport(
      const SessionName& name, Manifest manifest);
  // Makes the session exist, created now. Errors: ALREADY_EXISTS, when another
  // has taken the name meanwhile; the store's. REQUIRES: the import's End
  // returned OK.
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

  // The session is deleted `ttl_us` after its last change; 0: never.
  // Errors: NOT_FOUND; the store's.
  absl::Status SetTtl(const SessionName& name, int64_t ttl_us);

  // Forgets at once; the name of the operation that is done when nothing is
  // left of it, unless it is a dry run. Errors: those of Find and
  // Session::Forget.
  struct Forgotten {
    ForgetResult result;
    std::string operation;
  };
  absl::StatusOr<Forgotten> Forget(const SessionName& name,
                                   const ForgetTarget& target, bool dry_run);

  // The name of the operation that is done when its bytes have left the disk.
  // Errors: NOT_FOUND; the store's, and then nothing was deleted. Calls that
  // hold the session may still read it; appends to it are refused.
  absl::StatusOr<std::string> Delete(const SessionName& name);

  // Every session of a namespace. Errors: the store's, and then some may be
  // left: call again.
  struct DeletedNamespace {
    uint64_t sessions = 0;
    std::string operation;
  };
  absl::StatusOr<DeletedNamespace> DeleteNamespace(const std::string& space);

  // Errors: those of Operations::Find.
  absl::StatusOr<Operation> FindOperation(std::string_view name) const;

  // Tells the background thread that a session changed: there may be a run to
  // seal.
  void Changed(const std::shared_ptr<Session>& session);

  // What the background thread does when woken, and once a second.
  void CleanUp();
  void CloseIdle();
  void DeleteExpired();

  struct Counts {
    uint64_t sessions = 0;
    uint64_t open_sessions = 0;
    uint64_t disk_bytes = 0;
    uint64_t pending_operations = 0;
  };
  Counts Count() const;
  // What open sessions hold together; those that are just being opened or
  // changed are missing, so that nobody waits.
  SessionCounts CountOpen() const;

  // Whose records lie under a uid; of a trunk, one of the sessions that read
  // it. Sessions whose record is damaged are missing.
  std::map<uint64_t, SessionName> NamesByUid() const;
  // Why sessions whose record is damaged cannot be opened.
  std::vector<absl::Status> Damages() const;

  // Where everything lies, for what concerns the directory as a whole.
  Store& store() { return *store_; }

 private:
  // A known session; `session` is null until first use. `opening` is held while
  // its record or its existence is being written, and while it is opened.
  struct Slot {
    SessionName name;
    absl::Status damage;  // Why the record could not be read.
    base::Mutex opening;
    SessionRecord record ABSL_GUARDED_BY(opening);
    bool deleted ABSL_GUARDED_BY(opening) = false;
    std::shared_ptr<Session> session ABSL_GUARDED_BY(opening);
    // Read once while it is closed.
    std::optional<int64_t> update_time_us ABSL_GUARDED_BY(opening);
    std::chrono::steady_clock::time_point last_use ABSL_GUARDED_BY(opening);
  };
  using Key = std::pair<std::string, std::string>;  // Namespace, session.

  Memory(std::unique_ptr<Store> store, const base::Clock* clock,
         MemoryOptions options);
  absl::Status LoadSessions();
  void SkipUidsOfOperations();
  std::vector<std::shared_ptr<Slot>> Slots() const;
  absl::StatusOr<std::shared_ptr<Slot>> FindSlot(const SessionName& name) const;
  // Makes room for a new session, or says ALREADY_EXISTS.
  absl::Status Reserve(const std::shared_ptr<Slot>& slot);
  void Release(const SessionName& name);
  absl::StatusOr<std::shared_ptr<Session>> OpenIn(Slot& slot)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(slot.opening);
  absl::StatusOr<SessionInfo> InfoIn(const Slot& slot) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(slot.opening);
  absl::StatusOr<bool> ExpiredIn(Slot& slot) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(slot.opening);
  void CloseIn(Slot& slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(slot.opening);
  // With `only_expired`, a session that is not gets to live.
  absl::StatusOr<std::string> DeleteSlot(const SessionName& name,
                                         bool only_expired);
  // Deletes what imports wrote that never ended.
  void DropImports();
  // Takes a uid; `batch` makes that durable.
  uint64_t TakeUid(WriteBatch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(structure_);
  // Writes `batch`, and with it the record: from then on the session exists.
  absl::Status Add(SessionRecord record, WriteBatch batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(structure_);
  // Now, and never the same twice in a namespace: sessions of one name differ
  // in it.
  int64_t CreateTime(const std::string& space)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(structure_);

  // The background thread's: pieces of work, each true when there is more.
  bool Work();
  bool SealSome();

  // See Cleaner::Sessions.
  absl::StatusOr<std::vector<uint64_t>> CleanSession(const SessionName& name);
  absl::StatusOr<std::optional<Remembered>> RememberedOf(uint64_t uid);

  const std::unique_ptr<Store> store_;
  const base::Clock* const clock_;
  const MemoryOptions options_;
  SharedParts shared_;
  Operations operations_;
  Cleaner cleaner_;

  // Held over every write that changes which sessions there are.
  base::Mutex structure_;
  uint64_t uid_next_ ABSL_GUARDED_BY(structure_) = 1;
  // By namespace: none can tell from its own times that there are others.
  std::map<std::string, int64_t> last_create_us_ ABSL_GUARDED_BY(structure_);
  Trunks trunks_ ABSL_GUARDED_BY(structure_);

  mutable base::Mutex mutex_ ABSL_ACQUIRED_AFTER(structure_);
  std::map<Key, std::shared_ptr<Slot>> slots_ ABSL_GUARDED_BY(mutex_);
  std::atomic<uint64_t> open_count_{0};

  base::Mutex queue_mutex_;
  std::vector<std::weak_ptr<Session>> changed_ ABSL_GUARDED_BY(queue_mutex_);
  std::chrono::steady_clock::time_point last_tick_;  // The thread's own.
  std::atomic<bool> stopping_{false};
  std::unique_ptr<Background> background_;
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_MEMORY_H_
