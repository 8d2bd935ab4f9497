// memory/sealing.h: full runs of the kNN tier become segments.
// Segments are derived: one that cannot be read is built again.

#ifndef MNEME_MEMORY_SEALING_H_
#define MNEME_MEMORY_SEALING_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "attention/position.h"
#include "memory/branch.h"
#include "memory/key_reader.h"
#include "memory/store.h"
#include "memory/view.h"

namespace mneme::memory {

// The first full run of the kNN tier that no segment covers; none when the tier
// reads every key and so has no use for an index.
std::optional<SeqRange> NextRun(const LogView& view);

// The keys of a run as its index is made of them: zeros for what is forgotten.
// Shapes: keys [run.size(), key_dim].
void ReadRun(const LogView& view, SeqRange run, size_t bank, KeyReader& reader,
             float* keys);

// Errors: INTERNAL when clustering fails; CANCELLED, asked between banks.
absl::StatusOr<std::shared_ptr<const Segment>> BuildSegment(
    const LogView& view, const attention::PositionEncoder& positions,
    SeqRange run, const Cancelled& cancelled);

void PutSegment(uint64_t uid, const Segment& segment, WriteBatch& batch);
void DeleteSegment(uint64_t uid, const Segment& segment, WriteBatch& batch);

// The stored segments of a branch that are sound, complete and without what is
// forgotten.
SegmentList LoadSegments(const Store& store, const Branch& branch,
                         const Profile& profile, uint64_t seq_next,
                         const SeqSet& forgotten);

// `list` with `segment` in its place.
std::shared_ptr<const SegmentList> WithSegment(
    const SegmentList& list, std::shared_ptr<const Segment> segment);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_SEALING_H_
