// client/profile_setting.h: settings of a profile as a person writes them, a
// dotted path and a value: "window.tokens=128", "knn.positions.policy=const".

#ifndef MNEME_CLIENT_PROFILE_SETTING_H_
#define MNEME_CLIENT_PROFILE_SETTING_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "mneme/v1/memory_service.pb.h"

namespace mneme::client {

// An enum's value without its type's name, in lower case: "const" for
// POSITION_POLICY_CONST.
std::string WordOf(const google::protobuf::EnumValueDescriptor& value);

// Whether `field` of `message`, a profile or a part of one, is absent: 0, empty
// or without a value.
bool IsAbsent(const google::protobuf::Message& message,
              const google::protobuf::FieldDescriptor& field);

// Whether the other settings of `message` leave this one a meaning: the server
// refuses a distance for a policy that has none.
bool HasMeaning(const google::protobuf::Message& message,
                const google::protobuf::FieldDescriptor& field);

// Whether every key of `json`, a profile in protobuf JSON, is a setting; what
// else is wrong with it is left to who parses it.
// Errors: INVALID_ARGUMENT on --profile-file that names the key and what was
//         probably meant.
absl::Status CheckKeys(const std::string& json);

// `profile` with every one of `settings` over it, in order, each PATH=VALUE:
// numbers, true or false, an enum's value with or without its type's name and
// in any case, a list with commas; with nothing behind the "=" the field
// becomes absent. A tier or position encoding that only the profile's preset
// has is taken from there first, so that its other settings stay, but for those
// that the server derives or that no longer have a meaning. `find` is asked for
// the preset only then.
// Errors: INVALID_ARGUMENT, before `find` is asked, that says what was given,
//         what is expected, and what was probably meant; INVALID_ARGUMENT for
//         an absent field that the preset would fill in again; find's.
absl::StatusOr<v1::Profile> WithSettings(
    v1::Profile profile, const std::vector<std::string>& settings,
    const std::function<
        absl::StatusOr<v1::ProfilePreset>(const std::string& name)>& find);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_PROFILE_SETTING_H_
