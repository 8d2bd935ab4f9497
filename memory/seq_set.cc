#include "memory/seq_set.h"

#include <iterator>

namespace mneme::memory {

void SeqSet::Add(SeqRange range) {
  if (range.empty()) return;
  auto it = ranges_.upper_bound(range.begin);
  if (it != ranges_.begin() && std::prev(it)->second >= range.begin) --it;
  while (it != ranges_.end() && it->first <= range.end) {
    range.begin = std::min(range.begin, it->first);
    range.end = std::max(range.end, it->second);
    it = ranges_.erase(it);
  }
  ranges_.emplace(range.begin, range.end);
}

bool SeqSet::Contains(uint64_t seq) const {
  const auto it = ranges_.upper_bound(seq);
  return it != ranges_.begin() && std::prev(it)->second > seq;
}

uint64_t SeqSet::CountIn(SeqRange range) const {
  uint64_t gaps = 0;
  ForEachGap(range, [&](SeqRange gap) { gaps += gap.size(); });
  return range.size() - gaps;
}

void SeqSet::ForEachGap(SeqRange range,
                        const std::function<void(SeqRange)>& visit) const {
  uint64_t at = range.begin;
  auto it = ranges_.upper_bound(at);
  if (it != ranges_.begin()) at = std::max(at, std::prev(it)->second);
  for (; it != ranges_.end() && it->first < range.end; ++it) {
    if (it->first > at) visit({at, it->first});
    at = it->second;
  }
  if (at < range.end) visit({at, range.end});
}

void SeqSet::ForEachRun(SeqRange range,
                        const std::function<void(SeqRange)>& visit) const {
  auto it = ranges_.upper_bound(range.begin);
  if (it != ranges_.begin()) --it;
  for (; it != ranges_.end() && it->first < range.end; ++it) {
    const SeqRange run = Intersect({it->first, it->second}, range);
    if (!run.empty()) visit(run);
  }
}

uint64_t SeqSet::BeginOfLast(uint64_t count, uint64_t end) const {
  if (count == 0) return end;
  uint64_t at = end;
  for (auto it = ranges_.rbegin(); it != ranges_.rend(); ++it) {
    if (it->first >= at) continue;
    const uint64_t gap_begin = std::min(it->second, at);
    if (at - gap_begin >= count) return at - count;
    count -= at - gap_begin;
    at = it->first;
  }
  return at > count ? at - count : 0;
}

}  // namespace mneme::memory
