#include "memory/tiers.h"

#include <algorithm>

namespace mneme::memory {
namespace {

// Start of the segment that holds the newest token: a full segment closes when
// the token after it arrives.
uint64_t OpenSegmentBegin(uint64_t segment_tokens, uint64_t seq_next) {
  return seq_next == 0 ? 0 : (seq_next - 1) / segment_tokens * segment_tokens;
}

}  // namespace

TierRanges RangesOf(const Profile& profile, uint64_t seq_next,
                    const SeqSet& forgotten) {
  uint64_t window_begin = seq_next;
  if (profile.window) {
    window_begin =
        profile.window->policy == WindowPolicy::kSliding
            ? forgotten.BeginOfLast(profile.window->tokens, seq_next)
            : OpenSegmentBegin(profile.compressive->segment_tokens, seq_next);
  }
  const uint64_t sink_end =
      std::min<uint64_t>(profile.sink_tokens, window_begin);
  TierRanges ranges;
  ranges.sink = {0, sink_end};
  ranges.window = {window_begin, seq_next};
  if (profile.knn) ranges.knn = {sink_end, window_begin};
  return ranges;
}

uint64_t AbsorbedEnd(const Profile& profile, uint64_t seq_next,
                     const SeqSet& forgotten) {
  const uint64_t segment = profile.compressive->segment_tokens;
  return RangesOf(profile, seq_next, forgotten).window.begin / segment *
         segment;
}

Tier TierOf(const TierRanges& ranges, uint64_t seq) {
  if (seq < ranges.sink.end) return Tier::kSink;
  return seq < ranges.window.begin ? Tier::kKnn : Tier::kWindow;
}

}  // namespace mneme::memory
