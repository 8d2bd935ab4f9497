// LongLLaMA, through the server's dumped window and kNN tier.

#include <string>

#include "base/status_macros.h"
#include "tests/golden/methods.h"
#include "tests/golden/wire.h"

namespace mneme::golden {
namespace {

struct Call {
  int64_t tokens;
  bool use_cache;  // Else they go to memory after the call.
};

// The param `calls`: [[tokens, use_cache], ...].
absl::StatusOr<std::vector<Call>> ReadCalls(const Case& c, int64_t tokens) {
  std::vector<Call> calls;
  int64_t left = tokens;
  const nlohmann::json list = c.Json("calls");
  for (const nlohmann::json& call : list) {
    if (!call.is_array() || call.size() != 2 || !call[0].is_number_unsigned() ||
        !call[1].is_boolean() || call[0] == 0 || call[0] > left) {
      return absl::InvalidArgumentError("a call is no [tokens, use_cache]");
    }
    calls.push_back({call[0].get<int64_t>(), call[1].get<bool>()});
    left -= calls.back().tokens;
  }
  if (left != 0) return absl::InvalidArgumentError("calls do not add up");
  return calls;
}

absl::StatusOr<v1::Profile> MemoryProfile(const Case& c, const Heads& in) {
  ASSIGN_OR_RETURN(const double scale, Required(c, "scale"));
  ASSIGN_OR_RETURN(const double theta, Required(c, "rope_theta"));
  ASSIGN_OR_RETURN(const int64_t window,
                   WholeNumber(c, "max_position_embeddings", 1, 1 << 20));
  ASSIGN_OR_RETURN(const std::string mem_dtype, c.Text("mem_dtype"));
  ASSIGN_OR_RETURN(const bool positionals, c.Flag("mem_positionals"));
  v1::Profile profile = PresetFor("longllama", in, scale);
  if (positionals) {
    *profile.mutable_position() = RopeOf(theta);
  } else {
    profile.mutable_position()->set_family(v1::POSITION_FAMILY_NONE);
  }
  profile.mutable_window()->set_tokens(static_cast<uint32_t>(window));
  profile.mutable_window()->set_commit(v1::COMMIT_POLICY_DUMP);
  v1::KnnTier& knn = *profile.mutable_knn();
  knn.mutable_positions()->set_policy(v1::POSITION_POLICY_LOCAL_ORIGIN);
  if (mem_dtype == "bfloat16") {
    knn.set_data_type(v1::DATA_TYPE_BFLOAT16);
  } else if (mem_dtype != "float32") {
    return absl::InvalidArgumentError("unknown mem_dtype " + mem_dtype);
  }
  return profile;
}

}  // namespace

absl::StatusOr<Outputs> LongLlama(const Case& c, client::Client& client) {
  ASSIGN_OR_RETURN(const Heads in, ReadSelfAttention(c));
  ASSIGN_OR_RETURN(const std::vector<Call> calls, ReadCalls(c, in.tokens));
  ASSIGN_OR_RETURN(const v1::Profile profile, MemoryProfile(c, in));
  ASSIGN_OR_RETURN(const auto session, WireSession::Create(client, profile));
  Outputs outputs;
  int64_t begin = 0;
  for (const Call& call : calls) {
    RETURN_IF_ERROR(session->Step(in, begin, begin + call.tokens, outputs));
    begin += call.tokens;
    if (!call.use_cache) RETURN_IF_ERROR(session->CommitWindow(0));
    ASSIGN_OR_RETURN(const v1::SessionStats stats, session->Stats());
    outputs["mem_len_after"].push_back(stats.knn_tokens());
    outputs["local_len_after"].push_back(stats.window_tokens());
  }
  ASSIGN_OR_RETURN(const WireSession::Tokens memory,
                   session->ReadTokens(in, {v1::TIER_KNN}));
  outputs["mem_k"].assign(memory.keys.begin(), memory.keys.end());
  outputs["mem_v"].assign(memory.values.begin(), memory.values.end());
  return outputs;
}

}  // namespace mneme::golden
