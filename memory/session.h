// memory/session.h: one append-only stream and its three views.
// A mutation checks, writes down, then shows. A read takes an immutable view of
// one commit under the lock and computes outside it.

#ifndef MNEME_MEMORY_SESSION_H_
#define MNEME_MEMORY_SESSION_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "memory/head.h"
#include "memory/header.h"
#include "memory/shared_parts.h"
#include "memory/store.h"
#include "memory/types.h"

namespace mneme::memory {

struct LogView;

// Threads: any; writers of one session wait for each other, readers do not wait
// for computing readers.
class Session {
 public:
  // Reads a session's log and makes its views.
  // Errors: DATA_LOSS naming the session and the record; the store's.
  // Lifetime: `store`, `clock` and `shared` outlive the session.
  static absl::StatusOr<std::shared_ptr<Session>> Open(Store* store,
                                                       const base::Clock* clock,
                                                       SharedParts* shared,
                                                       SessionRecord record);
  // What Info says, without opening the session. Errors: DATA_LOSS; the
  // store's.
  static absl::StatusOr<SessionInfo> ReadInfo(const Store& store,
                                              const SessionRecord& record);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const SessionHeader& header() const;
  // Where its records lie.
  Branch branch() const;

  // Appends an entry: text, passages, keys, values, postings, in one batch.
  // Errors: INVALID_ARGUMENT for text that is empty, blank, too long or not
  // UTF-8; FAILED_PRECONDITION WRONG_PAYLOAD for a session without an encoder,
  // SEQ_MISMATCH for another expected_seq, REQUEST_ID_REUSED when the id came
  // with another payload; the store's. On any error nothing was appended.
  absl::StatusOr<AppendResult> AppendText(
      const TextEntry& entry, const AppendOptions& options,
      const Cancelled& cancelled = NotCancelled);

  // Appends tokens. Errors: as AppendText; INVALID_ARGUMENT for sizes that do
  // not fit the profile, NaN or infinity, positions that do not ascend.
  absl::StatusOr<AppendResult> AppendTokens(
      const TokenRows& rows, const AppendOptions& options,
      const Cancelled& cancelled = NotCancelled);

  // Errors: INVALID_ARGUMENT for a layer, size, position, tier or k that the
  // profile does not allow; CANCELLED.
  absl::StatusOr<AttendResult> Attend(const AttendQuery& query,
                                      const Cancelled& cancelled) const;

  // Errors: INVALID_ARGUMENT for a blank query, a limit out of range;
  // FAILED_PRECONDITION NO_TEXT for a session without an encoder; CANCELLED.
  absl::StatusOr<RecallResult> Recall(const RecallQuery& query,
                                      const Cancelled& cancelled) const;

  // Errors: as Recall; INVALID_ARGUMENT for a budget out of range.
  absl::StatusOr<ContextResult> AssembleContext(
      const ContextQuery& query, const Cancelled& cancelled) const;

  // Forgets what `target` picks: hidden in every tier and in the text when this
  // returns. Its bytes, and a large compressive state made of them, wait for
  // Clean; until then, reads of that state answer UNAVAILABLE STATE_REBUILDING.
  // `with` is written together with it. A dry run only counts.
  // Errors: as ChooseGone; the store's, and then nothing was forgotten.
  absl::StatusOr<ForgetResult> Forget(const ForgetTarget& target,
                                      bool dry_run = false,
                                      WriteBatch with = {});

  // Makes anew what was made of forgotten tokens, and overwrites their rows, in
  // memory and in the session's own records. Nothing to do is no error.
  // Errors: CANCELLED; the store's. Again: goes on where it stopped.
  absl::Status Clean(const Cancelled& cancelled);

  // Writes `fork` as a session that remembers this one's log below `at_seq`, or
  // all of it, and `with` in the same batch. What both read becomes a trunk,
  // and this session goes on under `own_uid`, unless that was so before:
  // `self`, its record, and `fork` get their new branches.
  // Errors: INVALID_ARGUMENT for a seq behind the log or inside an entry; the
  // store's, and then nothing happened.
  // REQUIRES: fork has its header, ttl and a uid that nobody uses.
  absl::Status Fork(std::optional<uint64_t> at_seq, uint64_t own_uid,
                    SessionRecord& self, SessionRecord& fork, WriteBatch with);

  // All but the last `keep_tokens` leave the window, durably; with landmarks,
  // back to the start of a chunk.
  // Errors: FAILED_PRECONDITION WINDOW_NOT_COMMITTABLE for a session without a
  // window, or with one that commits segments, SEQ_MISMATCH for another
  // expected_seq; the store's.
  absl::StatusOr<CommitResult> CommitWindow(
      uint64_t keep_tokens, std::optional<uint64_t> expected_seq = {},
      const Cancelled& cancelled = NotCancelled);

  // Tokens with their keys and values, as the tiers hold them.
  // Errors: INVALID_ARGUMENT for a layer out of range.
  absl::StatusOr<TokensResult> ReadTokens(const TokensQuery& query) const;

  // No tensors when `known_version` is the present one; 0: none is known.
  // Errors: INVALID_ARGUMENT for a layer out of range; FAILED_PRECONDITION
  // NO_COMPRESSIVE_TIER; OUT_OF_RANGE when the state overflowed.
  absl::StatusOr<CompressiveRead> CompressiveState(
      uint32_t layer, uint64_t known_version = 0) const;

  // Recomputes checksums and every view from the log; finds, does not mend.
  // Errors: the store's, CANCELLED; a finding is not an error.
  absl::StatusOr<std::vector<VerifyCheck>> Verify(
      const Cancelled& cancelled) const;

  // One commit of the log and the head it was written with, for an export.
  // Lifetime: the session outlives the view.
  struct Snapshot {
    std::shared_ptr<const LogView> view;
    Head head;
  };
  Snapshot TakeSnapshot() const;

  SessionInfo Info() const;
  SessionCounts Counts() const;

  // Refuses every later mutation with NOT_FOUND; waits for the one under way.
  // Reading goes on. For a session that is being deleted.
  void Close();

  // Seals one run of tokens that has left the window into an index, if there is
  // one to seal. True: there may be more. Answers do not depend on it.
  // Errors: INTERNAL when clustering fails; CANCELLED; the store's. The run
  // then stays as it is, searched all the same.
  absl::StatusOr<bool> SealOne(const Cancelled& cancelled = [] {
    return false;
  });

 private:
  class Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_SESSION_H_
