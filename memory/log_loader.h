// memory/log_loader.h: the rows of a session's log, read from the disk.

#ifndef MNEME_MEMORY_LOG_LOADER_H_
#define MNEME_MEMORY_LOG_LOADER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "memory/branch.h"
#include "memory/profile.h"
#include "memory/rows.h"
#include "memory/seq_set.h"
#include "memory/shared_parts.h"
#include "memory/store.h"

namespace mneme::memory {

struct LoadedRows {
  std::shared_ptr<RowBlocks> rows;
  std::vector<uint64_t> tails;  // First seqs of its own tail records.
  // The last block is a trunk's: copy it before anything is written into it.
  bool borrowed = false;
};

// Rows of `forgotten` tokens may be zeros, or missing where a whole block is
// forgotten. Errors: DATA_LOSS LOG_INCOMPLETE that names the range; the
// store's.
absl::StatusOr<LoadedRows> LoadRows(const Store& store, const Profile& profile,
                                    const Branch& branch, uint64_t seq_next,
                                    const SeqSet& forgotten,
                                    Shared<RowBlock>& shared);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_LOG_LOADER_H_
