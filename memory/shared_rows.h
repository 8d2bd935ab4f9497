// memory/shared_rows.h: the blocks of trunks, once in memory.
// Sessions that were forked from each other read the same blocks; whoever loads
// one first lends it to the others for as long as anybody has it.

#ifndef MNEME_MEMORY_SHARED_ROWS_H_
#define MNEME_MEMORY_SHARED_ROWS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "base/mutex.h"
#include "memory/rows.h"

namespace mneme::memory {

// Threads: any.
class SharedRows {
 public:
  // Null when nobody has block `number` of the trunk.
  std::shared_ptr<RowBlock> Find(uint64_t uid, uint64_t number) const;
  // REQUIRES: nobody writes rows of the block that another session reads.
  void Lend(uint64_t uid, uint64_t number,
            const std::shared_ptr<RowBlock>& block);

 private:
  void DropExpired() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable base::Mutex mutex_;
  std::map<std::pair<uint64_t, uint64_t>, std::weak_ptr<RowBlock>> blocks_
      ABSL_GUARDED_BY(mutex_);
  size_t drop_at_ ABSL_GUARDED_BY(mutex_) = 1024;  // Blocks.
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_SHARED_ROWS_H_
