// memory/presets.h: published methods as settings of one profile.

#ifndef MNEME_MEMORY_PRESETS_H_
#define MNEME_MEMORY_PRESETS_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "memory/profile.h"

namespace mneme::memory {

struct Preset {
  // Only what the method says, and the geometry of a model of its paper; what
  // is absent is Complete's. Its name is the preset's.
  Profile profile;
  std::string_view summary;      // What it does.
  std::string_view source;       // Where it was published.
  std::string_view differences;  // From the published code.
};

// Ordered by name. Lifetime: for ever.
const std::vector<Preset>& Presets();

// Errors: NOT_FOUND PROFILE_NOT_FOUND that lists the names and blames `field`.
absl::StatusOr<const Preset*> FindPreset(std::string_view name,
                                         std::string_view field);

// A preset as it stands, complete. Errors: as FindPreset.
absl::StatusOr<Profile> ProfileByName(std::string_view name);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_PRESETS_H_
