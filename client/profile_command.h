// client/profile_command.h: `mneme profiles`, and presets by their names.

#ifndef MNEME_CLIENT_PROFILE_COMMAND_H_
#define MNEME_CLIENT_PROFILE_COMMAND_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"
#include "client/context.h"

namespace mneme::client {

// `status`; when it says that there is no preset `name`, with the one that was
// probably meant.
absl::Status WithNearestPreset(Client& client, const std::string& name,
                               const absl::Status& status);

// Errors: the server's, NOT_FOUND as WithNearestPreset has it.
absl::StatusOr<v1::ProfilePreset> FindPreset(Client& client,
                                             const std::string& name);

// Lists the presets.
absl::StatusOr<int> RunProfiles(Context& context);
// Shows one with all its settings.
absl::StatusOr<int> RunShowProfile(const std::string& name, Context& context);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_PROFILE_COMMAND_H_
