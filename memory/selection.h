// memory/selection.h: which keys of the kNN tier a query row reads.

#ifndef MNEME_MEMORY_SELECTION_H_
#define MNEME_MEMORY_SELECTION_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "memory/tier_scorer.h"
#include "memory/top_k.h"
#include "memory/types.h"
#include "memory/view.h"

namespace mneme::memory {

// For every row of a bank the keys that the profile's kNN tier selects out of
// `range`, at most `k` tokens' worth, and the logits to read them with, in the
// order of the log. Selected are tokens or chunks, by each head or by the sum
// of the softmaxed scores of a kv head's query heads; a chunk counts when its
// last token is visible. A landmark's chunk comes with logits whose log-sum-exp
// is the landmark's. Errors: OUT_OF_RANGE
// LOGIT_OVERFLOW when scores of a group have no sum; CANCELLED.
absl::StatusOr<std::vector<std::vector<ScoredSeq>>> SelectKeys(
    const LogView& view, TierScorer& scorer, uint32_t kv_head, SeqRange range,
    size_t k, const Cancelled& cancelled);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_SELECTION_H_
