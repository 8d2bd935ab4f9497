// service/convert_profile.h: a profile of the wire to one of memory and back.

#ifndef MNEME_SERVICE_CONVERT_PROFILE_H_
#define MNEME_SERVICE_CONVERT_PROFILE_H_

#include "absl/status/statusor.h"
#include "memory/presets.h"
#include "memory/profile.h"
#include "mneme/v1/memory_service.pb.h"
#include "mneme/v1/profile.pb.h"

namespace mneme::service {

// What memory::Complete still has to complete and check: settings that neither
// the request nor its preset has stay zero. Checked here is what that form
// cannot tell any more: unknown enum values, numbers that are present but zero,
// parameters of another family.
// Errors:   INVALID_ARGUMENT on a field below "profile"; NOT_FOUND for a preset
//           that nobody knows.
absl::StatusOr<memory::Profile> ProfileFromProto(const v1::Profile& proto);

// Every setting of a complete profile is filled in; parameters that the family
// or policy does not read stay absent.
v1::Profile ProfileToProto(const memory::Profile& profile);

// The first field in which a profile that was asked for differs from that of a
// live session, with both values; empty when none does.
struct ProfileDifference {
  std::string field;  // Below "profile".
  std::string given;
  std::string existing;
};
ProfileDifference FirstDifference(const memory::Profile& given,
                                  const memory::Profile& existing);

// Errors:   INTERNAL when the preset is not sound, which a test rules out.
absl::Status SetPreset(const memory::Preset& preset, v1::ProfilePreset* proto);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_CONVERT_PROFILE_H_
