// memory/verify.h: every view of a session, recomputed from its log.

#ifndef MNEME_MEMORY_VERIFY_H_
#define MNEME_MEMORY_VERIFY_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "attention/position.h"
#include "memory/store.h"
#include "memory/types.h"
#include "memory/view.h"

namespace mneme::memory {

// Checks records, blocks, text, lexical, segments, compressive, attention and
// forgotten, as far as the profile has them. Finds; does not mend.
// Errors: the store's, CANCELLED; a finding is not an error.
// REQUIRES: `store` and `view` are of one moment; the session may be written.
absl::StatusOr<std::vector<VerifyCheck>> VerifySession(
    const StoreView& store, const LogView& view,
    const attention::PositionEncoder& positions, const Cancelled& cancelled);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_VERIFY_H_
