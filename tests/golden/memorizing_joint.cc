// Memorizing Transformer with one softmax, through the server's kNN tier and a
// window with a learned bias.

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/status_macros.h"
#include "tests/golden/methods.h"
#include "tests/golden/wire.h"

namespace mneme::golden {
namespace {

// T5's causal buckets (arXiv 1910.10683) of 32, up to a distance of 128.
constexpr int kBuckets = 32;
constexpr int kExactBuckets = 16;
constexpr int kBucketDistance = 128;

int BucketOf(int64_t distance) {
  if (distance < kExactBuckets) {
    return static_cast<int>(std::max<int64_t>(0, distance));
  }
  const double bucket =
      kExactBuckets +
      std::floor(kExactBuckets *
                 std::log(static_cast<double>(distance) / kExactBuckets) /
                 std::log(double{kBucketDistance} / kExactBuckets));
  return static_cast<int>(std::min<double>(kBuckets - 1, bucket));
}

struct Setting {
  int64_t memory, earlier;  // Tokens.
  int64_t top_k;
  Heads in;  // Memory, the segment before, and the local tokens.
  v1::Profile profile;
};

// [tokens, dim] of the inputs `name`; absent: no tokens.
absl::StatusOr<std::vector<float>> RowsOf(const Case& c,
                                          const std::string& name, int64_t dim,
                                          bool required) {
  if (!required && !c.Tensor(name).ok()) return std::vector<float>();
  ASSIGN_OR_RETURN(const Array rows, c.Tensor(name, 2));
  if (rows.shape[1] != dim) {
    return absl::InvalidArgumentError(name + " does not fit k or v");
  }
  return rows.Floats();
}

absl::Status ReadTokens(const Case& c, Setting& setting) {
  ASSIGN_OR_RETURN(setting.in, ReadHeads(c));
  Heads& in = setting.in;
  ASSIGN_OR_RETURN(auto keys, RowsOf(c, "mem_k", in.key_dim, true));
  ASSIGN_OR_RETURN(auto values, RowsOf(c, "mem_v", in.value_dim, true));
  ASSIGN_OR_RETURN(const auto xl_k, RowsOf(c, "xl_k", in.key_dim, false));
  ASSIGN_OR_RETURN(const auto xl_v, RowsOf(c, "xl_v", in.value_dim, false));
  setting.memory = static_cast<int64_t>(keys.size()) / in.key_dim;
  setting.earlier = static_cast<int64_t>(xl_k.size()) / in.key_dim;
  if (in.kv_heads != 1 || in.rows != in.tokens ||
      values.size() / in.value_dim != keys.size() / in.key_dim ||
      xl_v.size() / in.value_dim != xl_k.size() / in.key_dim) {
    return absl::InvalidArgumentError("keys and values do not fit");
  }
  keys.insert(keys.end(), xl_k.begin(), xl_k.end());
  keys.insert(keys.end(), in.k.begin(), in.k.end());
  values.insert(values.end(), xl_v.begin(), xl_v.end());
  values.insert(values.end(), in.v.begin(), in.v.end());
  in.tokens += setting.memory + setting.earlier;
  in.k = std::move(keys);
  in.v = std::move(values);
  return absl::OkStatus();
}

// The reference counts queries from the first local token and keys from the
// segment before: its distances are too small by the length of that.
absl::StatusOr<v1::PositionEncoding> BiasOf(const Case& c,
                                            const Setting& setting) {
  v1::PositionEncoding position;
  ASSIGN_OR_RETURN(const bool biased, c.Flag("rel_pos_bias"));
  if (!biased) {
    position.set_family(v1::POSITION_FAMILY_NONE);
    return position;
  }
  ASSIGN_OR_RETURN(const Array table, c.Tensor("rel_bias_table", 2));
  ASSIGN_OR_RETURN(const double scale, Required(c, "rel_scale"));
  const int64_t heads = setting.in.heads;
  if (table.shape[0] != kBuckets || table.shape[1] != heads) {
    return absl::InvalidArgumentError("rel_bias_table is not [32, heads]");
  }
  position.set_family(v1::POSITION_FAMILY_RELATIVE_BIAS);
  for (int64_t head = 0; head < heads; ++head) {
    for (int64_t d = 0; d <= setting.earlier + kBucketDistance; ++d) {
      const int bucket = BucketOf(d - setting.earlier);
      position.mutable_relative_bias()->add_biases(
          static_cast<float>(table.values[bucket * heads + head] * scale));
    }
  }
  return position;
}

absl::StatusOr<Setting> ReadSetting(const Case& c) {
  Setting setting;
  RETURN_IF_ERROR(ReadTokens(c, setting));
  const Heads& in = setting.in;
  // All of them are to be reported.
  ASSIGN_OR_RETURN(setting.top_k, WholeNumber(c, "top_k", 1, 64));
  ASSIGN_OR_RETURN(const Array log_scale, c.Tensor("log_scale", 1));
  if (log_scale.shape[0] != in.heads) {
    return absl::InvalidArgumentError("log_scale does not fit q");
  }
  v1::Profile& profile = setting.profile;
  profile = PresetFor("memorizing", in, /*scale=*/1);
  profile.set_normalization(v1::NORMALIZATION_L2);
  for (const double log : log_scale.values) {
    profile.add_head_scales(static_cast<float>(std::exp(log)));
  }
  ASSIGN_OR_RETURN(*profile.mutable_position(), BiasOf(c, setting));
  v1::WindowTier& window = *profile.mutable_window();
  window.set_tokens(static_cast<uint32_t>(in.tokens));
  window.set_commit(v1::COMMIT_POLICY_DUMP);
  v1::KnnTier& knn = *profile.mutable_knn();
  knn.set_top_k(static_cast<uint32_t>(setting.top_k));
  knn.mutable_positions()->set_policy(v1::POSITION_POLICY_NONE);
  return setting;
}

}  // namespace

absl::StatusOr<Outputs> MemorizingJoint(const Case& c, client::Client& client) {
  ASSIGN_OR_RETURN(const Setting setting, ReadSetting(c));
  const Heads& in = setting.in;
  ASSIGN_OR_RETURN(const auto session,
                   WireSession::Create(client, setting.profile));
  if (setting.memory > 0) {
    RETURN_IF_ERROR(
        session->Append(in, 0, setting.memory, Positions(0, setting.memory)));
    RETURN_IF_ERROR(session->CommitWindow(0));
  }
  RETURN_IF_ERROR(session->Append(in, setting.memory, in.tokens,
                                  Positions(setting.memory, in.tokens)));
  const auto positions = Positions(in.tokens - in.rows, in.tokens);
  ASSIGN_OR_RETURN(const WireSession::Answer joint,
                   session->Attend(in, 0, in.rows, positions, {}));
  ASSIGN_OR_RETURN(
      const WireSession::Answer memory,
      session->Attend(in, 0, in.rows, positions,
                      {.tiers = {v1::TIER_KNN},
                       .top_items = static_cast<uint32_t>(setting.top_k)}));
  Outputs outputs;
  outputs["out"].assign(joint.out.begin(), joint.out.end());
  outputs["lse"].assign(joint.lse.begin(), joint.lse.end());
  for (const std::vector<uint64_t>& seqs : memory.items) {
    std::vector<double> row(seqs.begin(), seqs.end());
    row.resize(std::max<size_t>(row.size(), setting.top_k), -1);
    auto& all = outputs["mem_idx"];
    all.insert(all.end(), row.begin(), row.end());
  }
  return outputs;
}

}  // namespace mneme::golden
