#include "memory/cleaner.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/status_macros.h"
#include "memory/keys.h"
#include "memory/sweep.h"

namespace mneme::memory {
namespace {

// How long an operation rests after its first failure; each further one
// doubles it.
constexpr auto kRest = std::chrono::seconds(1);
constexpr int kRestsMax = 8;  // Doublings: some four minutes.

// Files hold records of neighbouring uids, and forks take uids in turns.
constexpr uint64_t kUidsBetween = 8;

}  // namespace

Cleaner::Cleaner(Store* store, Operations* operations, const base::Clock* clock,
                 Sessions sessions, Cancelled stopping)
    : store_(store),
      operations_(operations),
      clock_(clock),
      sessions_(std::move(sessions)),
      stopping_(std::move(stopping)) {}

void Cleaner::Run(bool only_due) {
  base::MutexLock lock(&mutex_);
  const auto now = clock_->Ticks();
  const std::vector<Operation> pending = operations_->Pending();
  std::map<std::string, Progress> progress;
  for (const Operation& operation : pending) {
    progress[operation.id] = std::move(progress_[operation.id]);
  }
  progress_ = std::move(progress);

  StatusByUid swept;
  std::set<uint64_t> uids;
  std::set<std::string> ready;
  for (const Operation& operation : pending) {
    Progress& own = progress_[operation.id];
    if (only_due && now < own.due) continue;
    if (!own.swept_at) {
      const absl::Status status = Sweep(operation, swept, own);
      if (!status.ok()) {
        Fail(operation, status);
        continue;
      }
      own.swept_at = store_->Moment();
    }
    if (store_->HasViewBefore(*own.swept_at)) {
      own.due = now + kRest;
      continue;
    }
    ready.insert(operation.id);
    uids.insert(own.uids.begin(), own.uids.end());
  }

  const StatusByUid compacted = Compact(uids);
  std::vector<Operation> done;
  std::set<std::string> undone;  // Namespaces.
  for (const Operation& operation : pending) {
    const bool waits = operation.kind == Operation::Kind::kDeleteNamespace &&
                       undone.contains(operation.space);
    if (!waits && ready.contains(operation.id) &&
        Succeeded(operation, compacted)) {
      done.push_back(operation);
    } else {
      undone.insert(operation.space);
    }
  }
  const absl::Status finished = operations_->Finish(done);
  if (finished.ok()) return;
  for (const Operation& operation : done) Fail(operation, finished);
}

absl::Status Cleaner::Sweep(const Operation& operation, StatusByUid& swept,
                            Progress& progress) {
  progress.uids.insert(operation.uids.begin(), operation.uids.end());
  if (!operation.session.empty()) {
    ASSIGN_OR_RETURN(const std::vector<uint64_t> uids,
                     sessions_.clean({.space = operation.space,
                                      .session = operation.session}));
    // It may have been forked since.
    progress.uids.insert(uids.begin(), uids.end());
  }
  for (const uint64_t uid : progress.uids) {
    if (!swept.contains(uid)) swept[uid] = SweepUid(uid);
    RETURN_IF_ERROR(swept[uid]);
  }
  return absl::OkStatus();
}

absl::Status Cleaner::SweepUid(uint64_t uid) {
  ASSIGN_OR_RETURN(const std::optional<Remembered> remembered,
                   sessions_.remembered_of(uid));
  if (!remembered) return absl::OkStatus();
  return SweepTrunk(uid, remembered->profile, remembered->seqs,
                    remembered->seq_end, stopping_, *store_);
}

Cleaner::StatusByUid Cleaner::Compact(const std::set<uint64_t>& uids) {
  StatusByUid compacted;
  for (auto first = uids.begin(); first != uids.end();) {
    auto last = first;
    auto end = std::next(first);
    while (end != uids.end() && *end - *last <= kUidsBetween) last = end++;
    const absl::Status status =
        stopping_() ? absl::CancelledError("cleaning was stopped")
                    : store_->Compact(AllOf(*first).first, AllOf(*last).second);
    for (; first != end; ++first) compacted[*first] = status;
  }
  return compacted;
}

bool Cleaner::Succeeded(const Operation& operation,
                        const StatusByUid& compacted) {
  for (const uint64_t uid : progress_[operation.id].uids) {
    const absl::Status& status = compacted.at(uid);
    if (status.ok()) continue;
    Fail(operation, status);
    return false;
  }
  return true;
}

void Cleaner::Fail(const Operation& operation, const absl::Status& status) {
  if (absl::IsCancelled(status)) return;
  Progress& own = progress_[operation.id];
  own.due = clock_->Ticks() + kRest * (1 << std::min(own.failures, kRestsMax));
  ++own.failures;
  // The details may be of other namespaces' records.
  operations_->Fail(operation, status.code());
  base::Log(base::LogLevel::kWarning, "cleaning_failed",
            {{"operation", operation.ToString()},
             {"error", std::string(status.message())}});
}

}  // namespace mneme::memory
