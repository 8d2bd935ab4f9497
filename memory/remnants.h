// memory/remnants.h: the search for forgotten bytes in raw files.
// What was forgotten left probes behind (memory/probe.h). Every file is read as
// it lies on the disk, behind the store's back, so that a byte counts wherever
// it lingers: in a table, a blob, a log, or a file that nobody needs any more.

#ifndef MNEME_MEMORY_REMNANTS_H_
#define MNEME_MEMORY_REMNANTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "memory/probe.h"
#include "memory/store.h"
#include "memory/types.h"

namespace mneme::memory {

// A range of a session's log that was forgotten, and samples of what was there.
struct ForgottenSamples {
  uint64_t uid = 0;  // Whose records they are; 0: a deleted session's.
  uint64_t seq_begin = 0;
  std::vector<Probe> probes;
};

// All that any session forgot, and what was deleted with a session as long as
// its operation is known. Errors: DATA_LOSS; the store's.
absl::StatusOr<std::vector<ForgottenSamples>> ReadForgotten(
    const StoreView& store);

// Those of `probes` that are in an entry or row that some session remembers:
// the same words twice, a fork. They cannot be searched for. What lies in a
// record though no session remembers it is a remnant like any other. Errors:
// CANCELLED; the store's.
absl::StatusOr<std::vector<Probe>> StillRemembered(
    const StoreView& store, const std::vector<Probe>& probes,
    const Cancelled& cancelled);

struct Remnant {
  uint64_t uid = 0;
  uint64_t seq_begin = 0;
  std::string file;  // Below the directory.
  uint64_t offset = 0;
};

struct RemnantSearch {
  uint64_t files = 0;
  uint64_t bytes = 0;
  uint64_t found = 0;
  std::vector<Remnant> remnants;  // The first kRemnantsMax.
};
inline constexpr size_t kRemnantsMax = 100;

// Reads every file below `directory`, also those that appear meanwhile, as a
// compaction's; a file that vanishes is none. A missing directory has no files.
// Errors: CANCELLED; PERMISSION_DENIED for what cannot be read, since it was
// not searched then.
absl::StatusOr<RemnantSearch> SearchRemnants(
    const std::string& directory, const std::vector<ForgottenSamples>& samples,
    const std::vector<Probe>& still_remembered, const Cancelled& cancelled);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_REMNANTS_H_
