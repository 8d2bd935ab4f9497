// memory/seq_set.h: a set of seqs as disjoint ranges, for what was forgotten.

#ifndef MNEME_MEMORY_SEQ_SET_H_
#define MNEME_MEMORY_SEQ_SET_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>

namespace mneme::memory {

// [begin, end) of the log.
struct SeqRange {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t size() const { return end > begin ? end - begin : 0; }
  bool empty() const { return end <= begin; }
  friend bool operator==(const SeqRange&, const SeqRange&) = default;
};

inline SeqRange Intersect(SeqRange a, SeqRange b) {
  return {std::max(a.begin, b.begin), std::min(a.end, b.end)};
}

class SeqSet {
 public:
  // Adds a range; overlapping and touching ranges become one.
  void Add(SeqRange range);
  bool Contains(uint64_t seq) const;
  // Members inside `range`.
  uint64_t CountIn(SeqRange range) const;
  // Calls `visit` with each maximal run of non-members inside `range`, in
  // order.
  void ForEachGap(SeqRange range,
                  const std::function<void(SeqRange)>& visit) const;
  // Calls `visit` with each maximal run of members inside `range`, in order.
  void ForEachRun(SeqRange range,
                  const std::function<void(SeqRange)>& visit) const;
  // The smallest b such that [b, end) holds `count` non-members, or 0.
  uint64_t BeginOfLast(uint64_t count, uint64_t end) const;
  bool empty() const { return ranges_.empty(); }

 private:
  std::map<uint64_t, uint64_t>
      ranges_;  // begin -> end, disjoint, not touching.
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_SEQ_SET_H_
