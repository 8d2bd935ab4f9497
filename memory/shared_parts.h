// memory/shared_parts.h: what sessions read of trunks, once in memory.
// Sessions that were forked from each other read the same blocks, segments and
// states; whoever has one first lends it to the others for as long as anybody
// has it.

#ifndef MNEME_MEMORY_SHARED_PARTS_H_
#define MNEME_MEMORY_SHARED_PARTS_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "base/mutex.h"
#include "memory/fold.h"
#include "memory/rows.h"
#include "memory/segments.h"

namespace mneme::memory {

// Threads: any.
template <typename T>
class Shared {
 public:
  // Null when nobody has part `number` of the trunk.
  std::shared_ptr<T> Find(uint64_t uid, uint64_t number) const {
    base::MutexLock lock(&mutex_);
    const auto it = parts_.find({uid, number});
    return it == parts_.end() ? nullptr : it->second.lock();
  }

  // REQUIRES: nobody changes what another session reads of it.
  void Lend(uint64_t uid, uint64_t number, const std::shared_ptr<T>& part) {
    base::MutexLock lock(&mutex_);
    parts_[{uid, number}] = part;
    if (parts_.size() < drop_at_) return;
    std::erase_if(parts_,
                  [](const auto& entry) { return entry.second.expired(); });
    // Looked at again when as many have come: amortised O(1).
    drop_at_ = std::max<size_t>(1024, 2 * parts_.size());
  }

 private:
  mutable base::Mutex mutex_;
  std::map<std::pair<uint64_t, uint64_t>, std::weak_ptr<T>> parts_
      ABSL_GUARDED_BY(mutex_);
  size_t drop_at_ ABSL_GUARDED_BY(mutex_) = 1024;
};

struct SharedParts {
  Shared<RowBlock> blocks;         // By number.
  Shared<const Segment> segments;  // By first seq, with nothing forgotten.
  Shared<const Fold> folds;        // By absorbed_seq, with nothing forgotten.
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_SHARED_PARTS_H_
