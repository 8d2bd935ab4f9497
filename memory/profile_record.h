// memory/profile_record.h: a profile as a record's payload.

#ifndef MNEME_MEMORY_PROFILE_RECORD_H_
#define MNEME_MEMORY_PROFILE_RECORD_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "memory/profile.h"

namespace mneme::memory {

std::string EncodeProfile(const Profile& profile);

// Errors: DATA_LOSS when malformed, or not what Complete returns.
absl::StatusOr<Profile> DecodeProfile(std::string_view bytes);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_PROFILE_RECORD_H_
