// service/convert_profile.h: a profile of the wire to one of memory and back.

#ifndef MNEME_SERVICE_CONVERT_PROFILE_H_
#define MNEME_SERVICE_CONVERT_PROFILE_H_

#include "absl/status/statusor.h"
#include "memory/profile.h"
#include "mneme/v1/profile.pb.h"

namespace mneme::service {

// What memory::Complete still has to complete and check: absent settings stay
// zero. Checked here is what that form cannot tell any more: unknown enum
// values, numbers that are present but zero, parameters of another family.
// Errors:   INVALID_ARGUMENT on a field below "profile".
absl::StatusOr<memory::Profile> ProfileFromProto(const v1::Profile& proto);

// Every setting is filled in; parameters that the family or policy does not
// read stay absent.
v1::Profile ProfileToProto(const memory::Profile& profile);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_CONVERT_PROFILE_H_
