// memory/sealing.h: full runs of the kNN tier become segments.
// Segments are derived: one that cannot be read is built again.

#ifndef MNEME_MEMORY_SEALING_H_
#define MNEME_MEMORY_SEALING_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "attention/position.h"
#include "memory/store.h"
#include "memory/view.h"

namespace mneme::memory {

// The first full run of the kNN tier that no segment covers; none when the tier
// reads every key and so has no use for an index.
std::optional<SeqRange> NextRun(const LogView& view);

// Errors: INTERNAL when clustering fails; CANCELLED, asked between banks.
absl::StatusOr<std::shared_ptr<const Segment>> BuildSegment(
    const LogView& view, const attention::PositionEncoder& positions,
    SeqRange run, const Cancelled& cancelled);

void PutSegment(uint64_t uid, const Segment& segment, WriteBatch& batch);
void DeleteSegment(uint64_t uid, const Segment& segment, WriteBatch& batch);

// The stored segments that are sound and complete.
SegmentList LoadSegments(const Store& store, uint64_t uid,
                         const Profile& profile, uint64_t seq_next);

// `list` with `segment` in its place.
std::shared_ptr<const SegmentList> WithSegment(
    const SegmentList& list, std::shared_ptr<const Segment> segment);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_SEALING_H_
