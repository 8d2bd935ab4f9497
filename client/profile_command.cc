#include "client/profile_command.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "base/suggest.h"
#include "client/output.h"
#include "client/render_profile.h"

namespace mneme::client {

absl::Status WithNearestPreset(Client& client, const std::string& name,
                               const absl::Status& status) {
  const base::ErrorDetail detail = base::DetailOf(status);
  if (detail.reason != "PROFILE_NOT_FOUND") return status;
  const auto known = client.ListProfiles();
  if (!known.ok()) return status;
  std::vector<std::string> names;
  for (const v1::ProfilePreset& preset : known->presets()) {
    names.push_back(preset.profile().name());
  }
  return base::Error(status.code(),
                     absl::StrCat(std::string(status.message()),
                                  base::DidYouMean(name, names)),
                     detail);
}

absl::StatusOr<v1::ProfilePreset> FindPreset(Client& client,
                                             const std::string& name) {
  auto preset = client.GetProfile(name);
  if (preset.ok()) return preset;
  return WithNearestPreset(client, name, preset.status());
}

absl::StatusOr<int> RunProfiles(Context& context) {
  ASSIGN_OR_RETURN(Client * client, context.Open());
  ASSIGN_OR_RETURN(const v1::ListProfilesResponse profiles,
                   client->ListProfiles());
  if (context.json()) {
    context.out() << ToJson(profiles) << std::endl;
  } else {
    RenderPresets(profiles, context.out());
  }
  return kExitOk;
}

absl::StatusOr<int> RunShowProfile(const std::string& name, Context& context) {
  ASSIGN_OR_RETURN(Client * client, context.Open());
  ASSIGN_OR_RETURN(const v1::ProfilePreset preset, FindPreset(*client, name));
  if (context.json()) {
    context.out() << ToJson(preset) << std::endl;
  } else {
    RenderPreset(preset, context.out());
  }
  return kExitOk;
}

}  // namespace mneme::client
