// memory/import.h: a session made of what an export gave.
// Its records are written under a uid that no session has, the header last: the
// session exists with that write or not at all. A marker names the uid
// meanwhile, so that what a crash leaves behind is deleted at the next opening.

#ifndef MNEME_MEMORY_IMPORT_H_
#define MNEME_MEMORY_IMPORT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "memory/head.h"
#include "memory/manifest.h"
#include "memory/rows.h"
#include "memory/seq_set.h"
#include "memory/session.h"
#include "memory/store.h"
#include "memory/text/encoder.h"
#include "memory/text_index.h"
#include "memory/types.h"

namespace mneme::memory {

// Of a text import: a gap between entries costs its sender nothing, but rows
// on the disk.
inline constexpr uint64_t kGapTokensMax = uint64_t{1} << 20;

// Threads: one at a time.
class SessionImport {
 public:
  // Errors: INVALID_ARGUMENT for a manifest that no session could have.
  // Lifetime: `store` outlives the import.
  // REQUIRES: the manifest's profile is complete; `record` has its uid.
  static absl::StatusOr<std::unique_ptr<SessionImport>> Start(
      Store* store, SessionRecord record, const Manifest& manifest);
  // Deletes what was written, unless the session exists.
  ~SessionImport();
  SessionImport(const SessionImport&) = delete;
  SessionImport& operator=(const SessionImport&) = delete;

  // The next entry; what lies before it was forgotten.
  // Errors: INVALID_ARGUMENT for a text or facts that AppendText would refuse,
  // a number or seq out of order, a text that this release cuts into another
  // number of tokens; FAILED_PRECONDITION WRONG_PAYLOAD; RESOURCE_EXHAUSTED
  // GAP_TOO_LARGE; CANCELLED; the store's. After any error the import is lost.
  absl::Status AddEntry(const Entry& entry, const Cancelled& cancelled);

  // The next tokens: they start where the last ended. Of those in `forgotten`
  // only the positions count.
  // Errors: as AddEntry; INVALID_ARGUMENT as AppendTokens, and for ranges that
  // do not ascend inside the part.
  absl::Status AddRows(uint64_t seq_first, const TokenRows& rows,
                       std::span<const SeqRange> forgotten);

  // Nothing follows: says whether the log is as the manifest says, with this
  // many entries and tokens.
  // Errors: INVALID_ARGUMENT on a field below "end" or "manifest"; as AddEntry.
  absl::Status End(uint64_t entries, uint64_t tokens,
                   const Cancelled& cancelled);

  const SessionRecord& record() const { return record_; }
  // Bytes of rows and entries so far, forgotten rows too.
  uint64_t bytes() const {
    return head_.seq_next * record_.header.profile.token_bytes() +
           head_.entry_bytes;
  }
  // What has to be written together with the session's record for it to exist,
  // last changed at `now_us`. REQUIRES: End returned OK.
  WriteBatch TakeLast(int64_t now_us);
  // The session exists.
  void Finished() { finished_ = true; }

 private:
  SessionImport(Store* store, SessionRecord record, const Manifest& manifest);

  absl::Status CheckRows(uint64_t seq_first, const TokenRows& rows,
                         std::span<const SeqRange> forgotten) const;
  // Puts rows behind the log. Shapes: [banks, positions.size(), dim].
  absl::Status Put(std::span<const int64_t> positions, std::string_view keys,
                   std::string_view values);
  absl::Status SkipTo(uint64_t seq, const Cancelled& cancelled);
  // Writes the batch once it has this many bytes.
  absl::Status Flush(size_t bytes_min);

  Store* const store_;
  const SessionRecord record_;
  const Manifest manifest_;
  const HashEncoder text_encoder_;
  Head head_;
  uint64_t gap_tokens_ = 0;
  std::unique_ptr<RowBlock> block_;  // The one that is not full yet.
  WriteBatch batch_;
  size_t batch_bytes_ = 0;  // Of its first counted_ operations.
  size_t counted_ = 0;
  bool finished_ = false;
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_IMPORT_H_
