// memory/recall.h: recall is an attention read, summed by passage.

#ifndef MNEME_MEMORY_RECALL_H_
#define MNEME_MEMORY_RECALL_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attention/position.h"
#include "memory/text/encoder.h"
#include "memory/types.h"
#include "memory/view.h"

namespace mneme::memory {

bool Matches(const RecallFilter& filter, const Entry& entry);

// Errors: INVALID_ARGUMENT that names the field.
absl::Status CheckRecallQuery(const RecallQuery& query);

// Three heads read the session: the lexical head scores passages by BM25, two
// semantic heads attend to every sentence through the tiers. Each head's mass
// is summed by passage, and the heads are fused (memory/text/fusion.h). Errors:
// CANCELLED. REQUIRES: CheckRecallQuery passed; the view has text.
absl::StatusOr<RecallResult> RecallOver(
    const LogView& view, const attention::PositionEncoder& positions,
    const Encoder& encoder, const RecallQuery& query,
    const Cancelled& cancelled);

// A passage as it is returned, without what only a recall can say.
RecalledPassage DescribePassage(const LogView& view, uint32_t passage);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_RECALL_H_
