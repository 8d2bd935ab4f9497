// memory/tiers.h: which tokens of the log each tier holds.

#ifndef MNEME_MEMORY_TIERS_H_
#define MNEME_MEMORY_TIERS_H_

#include <cstdint>
#include <optional>

#include "memory/profile.h"
#include "memory/seq_set.h"
#include "memory/types.h"

namespace mneme::memory {

// Disjoint; together the softmax tiers cover what the profile reads.
struct TierRanges {
  SeqRange sink;
  SeqRange knn;
  SeqRange window;
};

// The tiers of a log of `seq_next` tokens of which those below `committed_seq`
// have left the window by a commit. Windows and quotas count tokens that are
// not forgotten; blocks, chunks and segments are counted by seq, so that
// forgetting does not move their borders.
TierRanges RangesOf(const Profile& profile, uint64_t seq_next,
                    const SeqSet& forgotten, uint64_t committed_seq);

// What an append of `count` tokens commits before it, by the policies that
// depend on how the log was cut into appends; of the others, committed_seq.
uint64_t CommittedBefore(const Profile& profile, uint64_t seq_next,
                         const SeqSet& forgotten, uint64_t committed_seq,
                         uint64_t count);

// Compressive memory absorbs the log below this seq: every whole segment that
// has left the window. REQUIRES: profile.compressive.
uint64_t AbsorbedEnd(const Profile& profile, const TierRanges& ranges);

// The softmax tier that reads the token; none when it was evicted, or has left
// the window of a profile without a kNN tier.
std::optional<Tier> TierOf(const TierRanges& ranges, uint64_t seq);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_TIERS_H_
