// memory/knn_search.h: the k best keys of the kNN tier for each query row.

#ifndef MNEME_MEMORY_KNN_SEARCH_H_
#define MNEME_MEMORY_KNN_SEARCH_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "memory/tier_scorer.h"
#include "memory/top_k.h"
#include "memory/types.h"
#include "memory/view.h"

namespace mneme::memory {

// Whether a sealed run can bound the logits of the profile's kNN tier: keys
// must be rotated once and for all, and logits be plain products.
bool Indexable(const Profile& profile);

// Exactly the `k` best live and visible keys of `range` for every row of a
// bank, best first. The hot run is scanned; sealed runs are read cluster by
// cluster in the order of their bounds, or scanned too when many rows share the
// scan.
// Errors: CANCELLED.
absl::StatusOr<std::vector<std::vector<ScoredSeq>>> SearchTopK(
    const LogView& view, TierScorer& scorer, uint32_t kv_head, SeqRange range,
    size_t k, const Cancelled& cancelled);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_KNN_SEARCH_H_
