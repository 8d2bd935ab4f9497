// memory/cache_ranks.h: the places of tokens in the cache of sink and window.

#ifndef MNEME_MEMORY_CACHE_RANKS_H_
#define MNEME_MEMORY_CACHE_RANKS_H_

#include <cstdint>
#include <vector>

#include "memory/rows.h"
#include "memory/seq_set.h"
#include "memory/tiers.h"

namespace mneme::memory {

// Ranks count live tokens of sink and window, in the order of the log.
class CacheRanks {
 public:
  // Lifetime: borrows both. REQUIRES: rows below ranges.window.end are filled.
  CacheRanks(const TierRanges& ranges, const SeqSet& forgotten,
             const RowBlocks& rows, int64_t position_next)
      : ranges_(ranges),
        forgotten_(forgotten),
        rows_(rows),
        position_next_(position_next) {}

  // Cached tokens before `seq`.
  int64_t OfSeq(uint64_t seq) const;
  // Of the tokens of a slice. REQUIRES: they are live and in the cache.
  std::vector<int64_t> OfSlice(const BlockSlice& slice) const;
  // The rank of a query: cached tokens at positions before its own, and, behind
  // the last token of the log, as many more as positions lie between.
  int64_t OfPosition(int64_t position) const;

 private:
  const TierRanges ranges_;
  const SeqSet& forgotten_;
  const RowBlocks& rows_;
  const int64_t position_next_;
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_CACHE_RANKS_H_
