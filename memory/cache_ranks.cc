#include "memory/cache_ranks.h"

#include <algorithm>
#include <numeric>

namespace mneme::memory {

int64_t CacheRanks::OfSeq(uint64_t seq) const {
  const auto live_below = [&](SeqRange range) {
    range.end = std::min(range.end, seq);
    return range.empty() ? 0 : range.size() - forgotten_.CountIn(range);
  };
  return static_cast<int64_t>(live_below(ranges_.sink) +
                              live_below(ranges_.window));
}

std::vector<int64_t> CacheRanks::OfSlice(const BlockSlice& slice) const {
  std::vector<int64_t> ranks(slice.count);
  std::iota(ranks.begin(), ranks.end(), OfSeq(slice.seq_first));
  return ranks;
}

int64_t CacheRanks::OfPosition(int64_t position) const {
  // Positions ascend: the first token at `position` or behind it.
  uint64_t low = 0;
  uint64_t high = ranges_.window.end;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (PositionAt(rows_, middle) < position) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return OfSeq(low) + std::max<int64_t>(position - position_next_, 0);
}

}  // namespace mneme::memory
