// memory/intake.h: what is appended, checked and made ready before any lock.

#ifndef MNEME_MEMORY_INTAKE_H_
#define MNEME_MEMORY_INTAKE_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "memory/profile.h"
#include "memory/text/encoder.h"
#include "memory/text_index.h"
#include "memory/types.h"

namespace mneme::memory {

// Errors: INVALID_ARGUMENT that names the field, what was given and the rule.
absl::Status CheckText(const TextEntry& entry);
absl::Status CheckSource(std::string_view source);
absl::Status CheckTokens(const Profile& profile, const TokenRows& rows);

// The positions of `count` new tokens: as given, or continued from
// `position_next`. Errors: INVALID_ARGUMENT when they do not ascend from there.
absl::StatusOr<std::vector<int64_t>> PositionsFor(
    std::span<const int64_t> given, uint64_t count, int64_t position_next);

// An entry's rows and terms.
struct PreparedText {
  EntryTerms terms;
  uint64_t rows = 0;
  std::string keys;  // [heads, rows, dim]; the values are the keys.
};

// Cuts, counts and encodes. A blank text has no rows.
// REQUIRES: CheckText passed; the profile's geometry is the encoder's.
PreparedText PrepareText(const Profile& profile, const Encoder& encoder,
                         const TextEntry& entry);

// The terms under which a passage is found: its words, and who said them.
std::vector<TermCount> PassageTerms(std::string_view role,
                                    std::string_view words);

// A hash of everything that is appended, to tell a repeated request from a
// request id used twice.
uint64_t FingerprintOf(const TextEntry& entry);
uint64_t FingerprintOf(const TokenRows& rows);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_INTAKE_H_
