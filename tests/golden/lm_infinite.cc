// LM-Infinite, through the server's sink and window tiers.

#include "base/status_macros.h"
#include "tests/golden/methods.h"
#include "tests/golden/wire.h"

namespace mneme::golden {
namespace {

constexpr int64_t kTokensMax = 1 << 20;

v1::PositionRule ClampTo(int64_t distance) {
  v1::PositionRule rule;
  rule.set_policy(v1::POSITION_POLICY_CLAMP);
  rule.set_distance(distance);
  return rule;
}

absl::StatusOr<v1::Profile> LambdaProfile(const Case& c, const Heads& in) {
  ASSIGN_OR_RETURN(const double scale, Required(c, "scale"));
  ASSIGN_OR_RETURN(const double theta, Required(c, "rope_theta"));
  ASSIGN_OR_RETURN(const int64_t global,
                   WholeNumber(c, "global_branch", 0, kTokensMax));
  ASSIGN_OR_RETURN(const int64_t local,
                   WholeNumber(c, "local_branch", 1, kTokensMax));
  // Tokens outside the window are at least `local` away: CLAMP reads all of
  // them at the limit.
  ASSIGN_OR_RETURN(const int64_t limit,
                   WholeNumber(c, "limit_distance", 1, local));
  ASSIGN_OR_RETURN(const bool masked, c.Flag("use_lambda_mask"));
  v1::Profile profile = PresetFor("lm_infinite", in, scale);
  *profile.mutable_position() = RopeOf(theta);
  profile.mutable_sink()->set_tokens(static_cast<uint32_t>(global));
  *profile.mutable_sink()->mutable_positions() = ClampTo(limit);
  profile.mutable_window()->set_tokens(static_cast<uint32_t>(local));
  if (!masked) {
    *profile.mutable_window()->mutable_positions() = ClampTo(limit);
    *profile.mutable_knn()->mutable_positions() = ClampTo(limit);
  }
  return profile;
}

}  // namespace

absl::StatusOr<Outputs> LmInfinite(const Case& c, client::Client& client) {
  ASSIGN_OR_RETURN(const auto top_k, c.Number("top_k_attention"));
  if (top_k) {
    return absl::UnimplementedError("keys readmitted for the last query only");
  }
  ASSIGN_OR_RETURN(const Heads in, ReadSelfAttention(c));
  ASSIGN_OR_RETURN(const v1::Profile profile, LambdaProfile(c, in));
  ASSIGN_OR_RETURN(const auto session, WireSession::Create(client, profile));
  Outputs outputs;
  // Rows do not depend on each other, and the window is that of the newest.
  for (int64_t t = 0; t < in.tokens; ++t) {
    RETURN_IF_ERROR(session->Step(in, t, t + 1, outputs));
  }
  return outputs;
}

}  // namespace mneme::golden
