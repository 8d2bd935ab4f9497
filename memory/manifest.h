// memory/manifest.h: what a session is, apart from its entries and tokens.

#ifndef MNEME_MEMORY_MANIFEST_H_
#define MNEME_MEMORY_MANIFEST_H_

#include <cstdint>

#include "absl/status/status.h"
#include "memory/profile.h"

namespace mneme::memory {

// Doubles, and so JSON, hold every seq and entry number up to here.
inline constexpr uint64_t kNumberMax = uint64_t{1} << 53;

// The head of an export.
struct Manifest {
  Profile profile;
  uint64_t seq_next = 0;
  int64_t position_next = 0;
  uint64_t committed_seq = 0;  // Tokens below it left the window by a commit.
  uint64_t entry_next = 1;
  int64_t create_time_us = 0;
  int64_t update_time_us = 0;
  int64_t ttl_us = 0;  // 0: for ever.

  bool is_text() const { return !profile.text_encoder.empty(); }
};

// Whether some session could have it, so far as it shows without the log.
// Errors: INVALID_ARGUMENT on a field below "manifest".
// REQUIRES: a complete profile.
absl::Status CheckManifest(const Manifest& manifest);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_MANIFEST_H_
