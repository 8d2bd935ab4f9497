// StreamingLLM, through the server's sink and window tiers.

#include "base/status_macros.h"
#include "tests/golden/methods.h"
#include "tests/golden/wire.h"

namespace mneme::golden {
namespace {

const std::vector<v1::Tier>& CacheTiers() {
  static const auto& tiers =
      *new std::vector<v1::Tier>{v1::TIER_SINK, v1::TIER_WINDOW};
  return tiers;
}

v1::Profile CacheProfile(const Heads& in, double scale, double theta,
                         int64_t sinks, int64_t recent) {
  v1::Profile profile = PresetFor("streaming_llm", in, scale);
  *profile.mutable_position() = RopeOf(theta);
  profile.mutable_sink()->set_tokens(static_cast<uint32_t>(sinks));
  profile.mutable_sink()->mutable_positions()->set_policy(
      v1::POSITION_POLICY_CACHE_RANK);
  profile.mutable_window()->set_tokens(static_cast<uint32_t>(recent));
  profile.mutable_window()->set_commit(v1::COMMIT_POLICY_STEP);
  profile.mutable_window()->mutable_positions()->set_policy(
      v1::POSITION_POLICY_CACHE_RANK);
  return profile;
}

}  // namespace

absl::StatusOr<Outputs> StreamingLlm(const Case& c, client::Client& client) {
  ASSIGN_OR_RETURN(const std::string policy, c.Text("policy"));
  if (policy != "after_step") {
    return absl::UnimplementedError("a cache that makes room beforehand");
  }
  ASSIGN_OR_RETURN(const Heads in, ReadSelfAttention(c));
  ASSIGN_OR_RETURN(const double scale, Required(c, "scale"));
  ASSIGN_OR_RETURN(const double theta, Required(c, "rope_theta"));
  ASSIGN_OR_RETURN(const int64_t sinks, WholeNumber(c, "start_size", 0, 4096));
  ASSIGN_OR_RETURN(const int64_t recent,
                   WholeNumber(c, "recent_size", 1, 1 << 20));
  ASSIGN_OR_RETURN(const auto chunks, Chunks(c, in.tokens));
  ASSIGN_OR_RETURN(const auto session,
                   WireSession::Create(
                       client, CacheProfile(in, scale, theta, sinks, recent)));
  Outputs outputs;
  WireSession::Tokens cache;
  int64_t begin = 0;
  for (const int64_t count : chunks) {
    RETURN_IF_ERROR(session->Step(in, begin, begin + count, outputs));
    begin += count;
    // The server trims before the next append, the cases count before it.
    RETURN_IF_ERROR(session->CommitWindow(recent));
    ASSIGN_OR_RETURN(cache, session->ReadTokens(in, CacheTiers()));
    outputs["cache_len_after"].push_back(static_cast<double>(cache.count));
  }
  outputs["cache_k"].assign(cache.keys.begin(), cache.keys.end());
  outputs["cache_v"].assign(cache.values.begin(), cache.values.end());
  return outputs;
}

}  // namespace mneme::golden
