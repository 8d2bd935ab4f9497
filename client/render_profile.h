// client/render_profile.h: profiles and presets as people read them.

#ifndef MNEME_CLIENT_RENDER_PROFILE_H_
#define MNEME_CLIENT_RENDER_PROFILE_H_

#include <ostream>
#include <string>

#include "mneme/v1/memory_service.pb.h"

namespace mneme::client {

// Every setting but the name, one a line, by the path and in the words that
// `mneme create --set` takes. What a profile does not have is "none"; what its
// other settings leave without a meaning is left out. Lists of more than 16
// numbers are cut.
void RenderProfile(const v1::Profile& profile, const std::string& indent,
                   std::ostream& out);

// Names and summaries, one a line.
void RenderPresets(const v1::ListProfilesResponse& response, std::ostream& out);

// A preset as a whole: where it comes from, and every setting.
void RenderPreset(const v1::ProfilePreset& preset, std::ostream& out);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_RENDER_PROFILE_H_
