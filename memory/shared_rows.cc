#include "memory/shared_rows.h"

#include <algorithm>

namespace mneme::memory {

std::shared_ptr<RowBlock> SharedRows::Find(uint64_t uid,
                                           uint64_t number) const {
  base::MutexLock lock(&mutex_);
  const auto it = blocks_.find({uid, number});
  return it == blocks_.end() ? nullptr : it->second.lock();
}

void SharedRows::Lend(uint64_t uid, uint64_t number,
                      const std::shared_ptr<RowBlock>& block) {
  base::MutexLock lock(&mutex_);
  blocks_[{uid, number}] = block;
  if (blocks_.size() >= drop_at_) DropExpired();
}

void SharedRows::DropExpired() {
  std::erase_if(blocks_,
                [](const auto& entry) { return entry.second.expired(); });
  // Looked at again when as many have come: amortised O(1).
  drop_at_ = std::max<size_t>(1024, 2 * blocks_.size());
}

}  // namespace mneme::memory
