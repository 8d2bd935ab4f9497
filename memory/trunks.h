// memory/trunks.h: who reads how much of each trunk.

#ifndef MNEME_MEMORY_TRUNKS_H_
#define MNEME_MEMORY_TRUNKS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "memory/branch.h"
#include "memory/header.h"
#include "memory/profile.h"
#include "memory/seq_set.h"
#include "memory/store.h"

namespace mneme::memory {

// What all readers of a trunk remember together.
struct Remembered {
  SeqSet seqs;
  uint64_t seq_end = 0;  // Nobody reads tokens from here on.
  Profile profile;       // A fork has that of its parent.
};

// Threads: one at a time.
class Trunks {
 public:
  void AddReader(const SessionRecord& session);
  // Never fails, so that it can take AddReader back.
  void RemoveReader(const Branch& branch);

  // Those of the branch's trunks that no other session reads.
  std::vector<uint64_t> ReadOnlyBy(const Branch& branch) const;

  // Nothing for a uid that is no trunk's. Errors: DATA_LOSS; the store's.
  absl::StatusOr<std::optional<Remembered>> RememberedOf(
      uint64_t uid, const StoreView& store) const;

 private:
  struct Readers {
    Profile profile;
    std::map<uint64_t, uint64_t> seq_ends;  // By the reader's own uid.
  };
  std::map<uint64_t, Readers> trunks_;
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_TRUNKS_H_
