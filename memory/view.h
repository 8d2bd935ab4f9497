// memory/view.h: one commit of a session's log and the views made of it.
// Immutable; readers hold one and compute outside every lock.

#ifndef MNEME_MEMORY_VIEW_H_
#define MNEME_MEMORY_VIEW_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "memory/branch.h"
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
  uint64_t identity = 0;             // SessionHeader::Identity.
  std::shared_ptr<const Branch> branch;
  std::shared_ptr<const RowBlocks> rows;
  uint64_t seq_next = 0;
  int64_t position_next = 0;
  uint64_t committed_seq = 0;  // Tokens below it have left the window.
  std::shared_ptr<const SeqSet> forgotten;
  std::shared_ptr<const SegmentList> segments;
  // Null without a compressive tier, and while it is made anew: see
  // `rebuilding`.
  std::shared_ptr<const Fold> fold;
  uint64_t checkpoint_seq = 0;           // Where the stored checkpoint stands.
  std::shared_ptr<const TextView> text;  // Null without a text encoder.

  // Something was forgotten, and the compressive state is not yet without it.
  bool rebuilding() const { return profile->compressive && !fold; }
  TierRanges ranges() const {
    return RangesOf(*profile, seq_next, *forgotten, committed_seq);
  }
  uint64_t live_tokens() const {
    return seq_next - forgotten->CountIn({0, seq_next});
  }
};

// UNAVAILABLE STATE_REBUILDING: what a read of the compressive tier answers
// while `view.rebuilding()`.
absl::Status StateRebuilding();

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_VIEW_H_
