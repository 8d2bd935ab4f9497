// memory/head.h: where a session's log ends.

#ifndef MNEME_MEMORY_HEAD_H_
#define MNEME_MEMORY_HEAD_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "memory/store.h"

namespace mneme::memory {

// One record, rewritten by every mutation.
struct Head {
  uint64_t seq_next = 0;
  int64_t position_next = 0;
  uint64_t committed_seq = 0;  // Tokens below it were committed by hand, or
                               // by a policy that follows the appends.
  uint64_t entry_next = 1;
  int64_t update_time_us = 0;
  uint64_t tokens = 0;       // Appended and not forgotten.
  uint64_t entries = 0;      // Likewise.
  uint64_t entry_bytes = 0;  // Of those entries; see BytesOf.
};

void PutHead(uint64_t uid, const Head& head, WriteBatch& batch);

// A head that a release without entry_bytes wrote has 0 of them. That of a
// session to which nothing was ever appended is not stored, and has the time of
// its creation. Errors: DATA_LOSS; the store's.
absl::StatusOr<Head> ReadHead(const StoreView& store, uint64_t uid,
                              int64_t create_time_us);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_HEAD_H_
