#include "memory/branch.h"

#include <algorithm>
#include <limits>

namespace mneme::memory {

std::vector<Branch::Part> Branch::Parts(uint64_t seq_next) const {
  std::vector<Part> parts;
  uint64_t seq = 0;
  uint64_t entry = 0;
  for (const Trunk& trunk : trunks) {
    parts.push_back({.uid = trunk.uid,
                     .seqs = {seq, trunk.seq_end},
                     .entry_begin = entry,
                     .entry_end = trunk.entry_end,
                     .own = false});
    seq = trunk.seq_end;
    entry = trunk.entry_end;
  }
  parts.push_back({.uid = uid,
                   .seqs = {seq, seq_next},
                   .entry_begin = entry,
                   .entry_end = std::numeric_limits<uint64_t>::max(),
                   .own = true});
  return parts;
}

std::vector<uint64_t> Branch::Uids() const {
  std::vector<uint64_t> uids = {uid};
  for (auto trunk = trunks.rbegin(); trunk != trunks.rend(); ++trunk) {
    uids.push_back(trunk->uid);
  }
  return uids;
}

uint64_t Branch::UidOfEntry(uint64_t entry) const {
  const auto trunk =
      std::find_if(trunks.begin(), trunks.end(),
                   [&](const Trunk& t) { return entry < t.entry_end; });
  return trunk == trunks.end() ? uid : trunk->uid;
}

uint64_t Branch::UidOfDerived(uint64_t seq_end) const {
  const auto trunk =
      std::find_if(trunks.begin(), trunks.end(),
                   [&](const Trunk& t) { return seq_end <= t.seq_end; });
  return trunk == trunks.end() ? uid : trunk->uid;
}

std::vector<Trunk> Branch::TrunksBelow(uint64_t seq_end,
                                       uint64_t entry_end) const {
  std::vector<Trunk> below;
  for (const Trunk& trunk : trunks) {
    if (!below.empty() && below.back().seq_end == seq_end) break;
    below.push_back({.uid = trunk.uid,
                     .seq_end = std::min(trunk.seq_end, seq_end),
                     .entry_end = std::min(trunk.entry_end, entry_end)});
  }
  if (seq_end == 0) below.clear();
  return below;
}

}  // namespace mneme::memory
