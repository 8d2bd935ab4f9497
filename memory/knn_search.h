// memory/knn_search.h: the k best keys of the kNN tier for each query row.

#ifndef MNEME_MEMORY_KNN_SEARCH_H_
#define MNEME_MEMORY_KNN_SEARCH_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "attention/alibi.h"
#include "attention/position.h"
#include "memory/key_reader.h"
#include "memory/top_k.h"
#include "memory/types.h"
#include "memory/view.h"

namespace mneme::memory {

// Query rows that share a bank.
struct BankQueries {
  const float* queries;   // [heads, positions.size(), key_dim], prepared.
  size_t heads;           // Query heads of the bank.
  size_t head_first = 0;  // The first of them in its layer.
  std::span<const int64_t> positions;  // Of each head's rows.
  // Bias by distance of ABSOLUTE tiers; null without ALiBi.
  const attention::AlibiBias* alibi = nullptr;

  size_t row_count() const { return heads * positions.size(); }
};

// Exactly the `k` best live and visible keys of `range` for every row, best
// first. The hot run is scanned; sealed runs are read cluster by cluster in the
// order of their bounds, or scanned too when many rows share the scan.
// Errors: CANCELLED.
absl::StatusOr<std::vector<std::vector<ScoredSeq>>> SearchTopK(
    const LogView& view, const attention::PositionEncoder& encoder,
    PositionPolicy policy, size_t bank, SeqRange range, size_t k,
    const BankQueries& rows, const Cancelled& cancelled);

// The number of keys of `slice` that a query at `position` sees.
size_t VisibleCount(const BlockSlice& slice, int64_t position);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_KNN_SEARCH_H_
