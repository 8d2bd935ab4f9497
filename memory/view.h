// memory/view.h: one commit of a session's log and the views made of it.
// Immutable; readers hold one and compute outside every lock.

#ifndef MNEME_MEMORY_VIEW_H_
#define MNEME_MEMORY_VIEW_H_

#include <cstdint>
#include <memory>

#include "memory/fold.h"
#include "memory/profile.h"
#include "memory/rows.h"
#include "memory/segments.h"
#include "memory/seq_set.h"
#include "memory/text_index.h"
#include "memory/tiers.h"

namespace mneme::memory {

struct LogView {
  const Profile* profile = nullptr;  // Lives as long as the session.
  std::shared_ptr<const RowBlocks> rows;
  uint64_t seq_next = 0;
  int64_t position_next = 0;
  uint64_t committed_seq = 0;  // Tokens below it have left the window.
  std::shared_ptr<const SeqSet> forgotten;
  std::shared_ptr<const SegmentList> segments;
  std::shared_ptr<const Fold> fold;      // Null without a compressive tier.
  uint64_t checkpoint_seq = 0;           // Where the stored checkpoint stands.
  std::shared_ptr<const TextView> text;  // Null without a text encoder.

  TierRanges ranges() const {
    return RangesOf(*profile, seq_next, *forgotten, committed_seq);
  }
  uint64_t live_tokens() const {
    return seq_next - forgotten->CountIn({0, seq_next});
  }
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_VIEW_H_
