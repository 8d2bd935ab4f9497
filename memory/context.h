// memory/context.h: recent and recalled passages packed into a token budget.

#ifndef MNEME_MEMORY_CONTEXT_H_
#define MNEME_MEMORY_CONTEXT_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "memory/recall.h"
#include "memory/types.h"
#include "memory/view.h"

namespace mneme::memory {

// Errors: INVALID_ARGUMENT that names the field.
absl::Status CheckContextQuery(const ContextQuery& query);

// Chooses the latest entries, then recalled passages best first, each once, as
// long as the block stays within the budget; prints them in the order of the
// log, one paragraph each, headed by its mark, source and role:
//   [1] notes.txt, Ann: words of the passage
// Tokens are counted by TokenCount on the block as it is printed.
// Errors: CANCELLED. REQUIRES: CheckContextQuery passed; the view has text.
absl::StatusOr<ContextResult> AssembleOver(
    const LogView& view, const attention::PositionEncoder& positions,
    const Encoder& encoder, const ContextQuery& query,
    const Cancelled& cancelled);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_CONTEXT_H_
