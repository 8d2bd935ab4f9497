#include "memory/tiers.h"

#include <algorithm>

namespace mneme::memory {
namespace {

// Start of the segment that holds the newest token: a full segment closes when
// the token after it arrives.
uint64_t OpenSegmentBegin(uint64_t segment_tokens, uint64_t seq_next) {
  return seq_next == 0 ? 0 : (seq_next - 1) / segment_tokens * segment_tokens;
}

uint64_t WindowBegin(const Profile& profile, uint64_t seq_next,
                     const SeqSet& forgotten) {
  const WindowTier& window = *profile.window;
  switch (window.commit) {
    case CommitPolicy::kToken:
      return forgotten.BeginOfLast(window.tokens, seq_next);
    case CommitPolicy::kBlock:
      return forgotten.BeginOfLast(window.tokens, seq_next) /
             window.block_tokens * window.block_tokens;
    case CommitPolicy::kSegment:
      return OpenSegmentBegin(profile.compressive->segment_tokens, seq_next);
    case CommitPolicy::kDump:
    case CommitPolicy::kStep:
      break;  // Only what was committed.
  }
  return 0;
}

// Where the quota of the kNN tier begins; whole chunks are evicted.
uint64_t QuotaBegin(const KnnTier& knn, uint64_t window_begin,
                    const SeqSet& forgotten) {
  if (knn.max_tokens == 0) return 0;
  const uint64_t begin = forgotten.BeginOfLast(knn.max_tokens, window_begin);
  const uint64_t chunk = knn.chunk_tokens;
  return (begin + chunk - 1) / chunk * chunk;
}

}  // namespace

TierRanges RangesOf(const Profile& profile, uint64_t seq_next,
                    const SeqSet& forgotten, uint64_t committed_seq) {
  uint64_t window_begin = seq_next;
  if (profile.window) {
    window_begin =
        std::max(committed_seq, WindowBegin(profile, seq_next, forgotten));
  }
  const uint64_t sink_end =
      std::min<uint64_t>(profile.sink ? profile.sink->tokens : 0, window_begin);
  TierRanges ranges;
  ranges.sink = {0, sink_end};
  ranges.window = {window_begin, seq_next};
  if (profile.knn) {
    const uint64_t quota = QuotaBegin(*profile.knn, window_begin, forgotten);
    ranges.knn = {std::min(std::max(sink_end, quota), window_begin),
                  window_begin};
  }
  return ranges;
}

uint64_t CommittedBefore(const Profile& profile, uint64_t seq_next,
                         const SeqSet& forgotten, uint64_t committed_seq,
                         uint64_t count) {
  if (!profile.window) return committed_seq;
  const WindowTier& window = *profile.window;
  if (window.commit == CommitPolicy::kStep) {
    return std::max(committed_seq,
                    forgotten.BeginOfLast(window.tokens, seq_next));
  }
  if (window.commit == CommitPolicy::kDump) {
    const SeqRange range{committed_seq, seq_next};
    const uint64_t live = range.size() - forgotten.CountIn(range);
    return live + count > window.tokens ? seq_next : committed_seq;
  }
  return committed_seq;
}

uint64_t AbsorbedEnd(const Profile& profile, const TierRanges& ranges) {
  const uint64_t segment = profile.compressive->segment_tokens;
  return ranges.window.begin / segment * segment;
}

std::optional<Tier> TierOf(const TierRanges& ranges, uint64_t seq) {
  if (seq < ranges.sink.end) return Tier::kSink;
  if (seq >= ranges.window.begin) return Tier::kWindow;
  if (seq >= ranges.knn.begin && seq < ranges.knn.end) return Tier::kKnn;
  return std::nullopt;
}

}  // namespace mneme::memory
