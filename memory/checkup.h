// memory/checkup.h: every record of a store, opened once.

#ifndef MNEME_MEMORY_CHECKUP_H_
#define MNEME_MEMORY_CHECKUP_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "memory/store.h"
#include "memory/types.h"

namespace mneme::memory {

// Records of one session that are not sound.
struct SessionDamage {
  uint64_t records = 0;
  std::string
      first;  // What the first of them was, e.g. "rows of tokens 0-127".
  std::string why;
};

struct Checkup {
  uint64_t records = 0;
  std::map<uint64_t, SessionDamage> damaged;  // By the uid of the records.
  // What reading stopped at, if the store itself is damaged: records behind it
  // were not seen.
  absl::Status store;
};

// Errors: CANCELLED.
absl::StatusOr<Checkup> CheckRecords(const StoreView& store,
                                     const Cancelled& cancelled);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_CHECKUP_H_
