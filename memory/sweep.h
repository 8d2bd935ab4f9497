// memory/sweep.h: what no session remembers leaves a trunk.

#ifndef MNEME_MEMORY_SWEEP_H_
#define MNEME_MEMORY_SWEEP_H_

#include <cstdint>

#include "absl/status/status.h"
#include "memory/profile.h"
#include "memory/seq_set.h"
#include "memory/store.h"
#include "memory/types.h"

namespace mneme::memory {

// Overwrites the rows, and deletes the entries, requests, checkpoint and
// segments, of tokens that are not in `remembered`: the union over all sessions
// that read the trunk, below `seq_end`. Again: nothing.
// Errors: CANCELLED, and then some of it is done; the store's.
absl::Status SweepTrunk(uint64_t uid, const Profile& profile,
                        const SeqSet& remembered, uint64_t seq_end,
                        const Cancelled& cancelled, Store& store);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_SWEEP_H_
