#include "memory/trunks.h"

#include <algorithm>

#include "base/status_macros.h"
#include "memory/forgotten.h"

namespace mneme::memory {

void Trunks::AddReader(const SessionRecord& session) {
  for (const Trunk& trunk : session.branch.trunks) {
    Readers& readers = trunks_[trunk.uid];
    readers.profile = session.header.profile;
    readers.seq_ends[session.branch.uid] = trunk.seq_end;
  }
}

void Trunks::RemoveReader(const Branch& branch) {
  for (const Trunk& trunk : branch.trunks) {
    const auto readers = trunks_.find(trunk.uid);
    if (readers == trunks_.end()) continue;
    readers->second.seq_ends.erase(branch.uid);
    if (readers->second.seq_ends.empty()) trunks_.erase(readers);
  }
}

std::vector<uint64_t> Trunks::ReadOnlyBy(const Branch& branch) const {
  std::vector<uint64_t> uids;
  for (const Trunk& trunk : branch.trunks) {
    if (trunks_.at(trunk.uid).seq_ends.size() == 1) uids.push_back(trunk.uid);
  }
  return uids;
}

absl::StatusOr<std::optional<Remembered>> Trunks::RememberedOf(
    uint64_t uid, const StoreView& store) const {
  const auto readers = trunks_.find(uid);
  if (readers == trunks_.end()) return std::nullopt;
  Remembered remembered;
  remembered.profile = readers->second.profile;
  for (const auto& [reader, seq_end] : readers->second.seq_ends) {
    remembered.seq_end = std::max(remembered.seq_end, seq_end);
    SeqSet forgotten;
    RETURN_IF_ERROR(LoadForgotten(store, reader, forgotten));
    forgotten.ForEachGap({0, seq_end},
                         [&](SeqRange live) { remembered.seqs.Add(live); });
  }
  return remembered;
}

}  // namespace mneme::memory
