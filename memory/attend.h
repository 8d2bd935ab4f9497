// memory/attend.h: attention over one view of the log.

#ifndef MNEME_MEMORY_ATTEND_H_
#define MNEME_MEMORY_ATTEND_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attention/position.h"
#include "memory/types.h"
#include "memory/view.h"

namespace mneme::memory {

// Whether `query` can be asked of sessions with `profile`.
// Errors: INVALID_ARGUMENT that names the field.
absl::Status CheckAttendQuery(const Profile& profile, const AttendQuery& query);

// Reads sink, window and kNN tiers as softmax partials, merges them by their
// lse, and mixes the compressive tier in by its gate (DESIGN: one log, three
// views). Rows see keys at their own position and before.
// Errors: INVALID_ARGUMENT for a row behind the tokens that the compressive
// state has absorbed; OUT_OF_RANGE when logits overflow; CANCELLED.
// REQUIRES: CheckAttendQuery passed, but for the limit on top_items.
absl::StatusOr<AttendResult> AttendOver(
    const LogView& view, const attention::PositionEncoder& encoder,
    const AttendQuery& query, const Cancelled& cancelled);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_ATTEND_H_
