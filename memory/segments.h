// memory/segments.h: the sealed part of the kNN tier.
// Tokens that have left the window are first a hot run, which is scanned; a
// full run is sealed into an immutable index for each bank. Which runs are
// sealed changes how fast an answer comes, never the answer.

#ifndef MNEME_MEMORY_SEGMENTS_H_
#define MNEME_MEMORY_SEGMENTS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "memory/segment_index.h"
#include "memory/seq_set.h"

namespace mneme::memory {

// Tokens a sealed run: 128 clusters, clustered in some 10 ms a bank.
inline constexpr uint64_t kSealTokens = 4096;

struct Segment {
  SeqRange range;  // kSealTokens long, a multiple of it.
  // Tokens in it that were forgotten when it was made, and so are no part of
  // it: what is forgotten only grows, so equal counts mean the same tokens.
  uint64_t forgotten_tokens = 0;
  std::vector<SegmentIndex> banks;  // Numbered as Profile says.
};

// Ordered by range, disjoint; there may be gaps, which are scanned.
using SegmentList = std::vector<std::shared_ptr<const Segment>>;

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_SEGMENTS_H_
