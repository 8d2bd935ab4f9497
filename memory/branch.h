// memory/branch.h: whose records a session reads.
// A fork shares the log of the session it was made from. What is shared becomes
// a trunk: records under a uid of its own that nobody appends to any more, and
// from which only what no session remembers is erased. Each side goes on under
// a new uid.

#ifndef MNEME_MEMORY_BRANCH_H_
#define MNEME_MEMORY_BRANCH_H_

#include <cstdint>
#include <vector>

#include "memory/seq_set.h"

namespace mneme::memory {

// What a session reads of one trunk.
struct Trunk {
  uint64_t uid = 0;
  uint64_t seq_end = 0;    // Its tokens below this.
  uint64_t entry_end = 0;  // Its entries of a lower number.

  friend bool operator==(const Trunk&, const Trunk&) = default;
};

struct Branch {
  // The part of the log that lies under one uid.
  struct Part {
    uint64_t uid = 0;
    SeqRange seqs;
    uint64_t entry_begin = 0;
    uint64_t entry_end = 0;
    bool own = false;
  };

  uint64_t uid = 0;           // Of its own records.
  std::vector<Trunk> trunks;  // Oldest first; their ends ascend.

  // Seq of the first token that lies under its own uid.
  uint64_t seq_begin() const {
    return trunks.empty() ? 0 : trunks.back().seq_end;
  }
  // All of a log of `seq_next` tokens, in its order; the last part is its own.
  std::vector<Part> Parts(uint64_t seq_next) const;
  // Its own uid, then those of the trunks, newest first.
  std::vector<uint64_t> Uids() const;
  uint64_t UidOfEntry(uint64_t entry) const;
  // Where what is made of all tokens below `seq_end` lies: in the oldest trunk
  // that has them, so that every reader finds it, or under its own uid.
  uint64_t UidOfDerived(uint64_t seq_end) const;
  // The trunks of a fork of this log below `seq_end`, entries below
  // `entry_end`. REQUIRES: seq_end is at most seq_begin().
  std::vector<Trunk> TrunksBelow(uint64_t seq_end, uint64_t entry_end) const;
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_BRANCH_H_
