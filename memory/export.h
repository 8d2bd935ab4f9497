// memory/export.h: everything a session remembers, read out in order.

#ifndef MNEME_MEMORY_EXPORT_H_
#define MNEME_MEMORY_EXPORT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "memory/manifest.h"
#include "memory/seq_set.h"
#include "memory/session.h"
#include "memory/text_index.h"
#include "memory/view.h"

namespace mneme::memory {

// Consecutive tokens of the log, as it stores them.
struct ExportedRows {
  uint64_t seq_first = 0;
  std::vector<int64_t> positions = {};   // One a token.
  std::vector<SeqRange> forgotten = {};  // Their rows are zeros.
  std::string keys = {};                 // [banks, tokens, key_dim].
  std::string values = {};               // [banks, tokens, value_dim].
};

// One commit of a session: what is appended or forgotten meanwhile does not
// show.
// Threads: one at a time.
class SessionExport {
 public:
  explicit SessionExport(std::shared_ptr<const Session> session,
                         int64_t ttl_us = 0);

  const Manifest& manifest() const { return manifest_; }
  // What it remembers, and so what will come.
  uint64_t entries() const;
  uint64_t tokens() const { return view_->live_tokens(); }

  // The next entry, in the order of the log; null after the last, and of a
  // session of tensors.
  std::shared_ptr<const Entry> NextEntry();

  // The next tokens, forgotten ones too since they have positions: as many as
  // `bytes_max` holds, at least one. None after the last, and of a session of
  // text.
  std::optional<ExportedRows> NextRows(size_t bytes_max);

 private:
  explicit SessionExport(std::shared_ptr<const Session> session,
                         Session::Snapshot snapshot, int64_t ttl_us);

  const std::shared_ptr<const Session> session_;  // Owns the view's profile.
  const std::shared_ptr<const LogView> view_;
  const Manifest manifest_;
  size_t entry_at_ = 0;
  uint64_t seq_at_ = 0;
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_EXPORT_H_
