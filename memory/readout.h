// memory/readout.h: what a session holds, read back as it is held.

#ifndef MNEME_MEMORY_READOUT_H_
#define MNEME_MEMORY_READOUT_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "memory/types.h"
#include "memory/view.h"

namespace mneme::memory {

// Live tokens with their keys and values; those of the kNN tier rounded as it
// reads them. Errors: INVALID_ARGUMENT for a layer out of range.
absl::StatusOr<TokensResult> ReadTokensOver(const LogView& view,
                                            const TokensQuery& query);

// The compressive state of a layer, without tensors when `known_version` is the
// present one; `identity` is the session's, so that no other has its versions.
// Errors: INVALID_ARGUMENT for a layer out of range; OUT_OF_RANGE
// STATE_OVERFLOW. REQUIRES: the profile has a compressive tier.
absl::StatusOr<CompressiveRead> ReadCompressive(const LogView& view,
                                                uint32_t layer,
                                                uint64_t known_version,
                                                std::string_view identity);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_READOUT_H_
