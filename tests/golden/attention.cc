// Exact softmax attention, through the server's window and kNN tiers.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "tests/golden/methods.h"
#include "tests/golden/wire.h"

namespace mneme::golden {

absl::StatusOr<Outputs> Attention(const Case& c, client::Client& client) {
  ASSIGN_OR_RETURN(const Heads in, ReadHeads(c));
  ASSIGN_OR_RETURN(const Array keys_at, c.Tensor("positions_k", 1));
  ASSIGN_OR_RETURN(const Array queries_at, c.Tensor("positions_q", 1));
  if (keys_at.shape[0] != in.tokens || queries_at.shape[0] != in.rows) {
    return absl::InvalidArgumentError("positions do not fit q and k");
  }
  ASSIGN_OR_RETURN(const bool causal, c.Flag("causal"));
  ASSIGN_OR_RETURN(const auto scale, c.Number("scale"));
  ASSIGN_OR_RETURN(const auto theta, c.Number("rope_theta"));
  if (!scale) return absl::InvalidArgumentError("scale is required");

  v1::Profile profile = ProfileFor(in, *scale);
  if (theta) *profile.mutable_position() = RopeOf(*theta);
  // Half of the tokens have left the window, so that two tiers are merged.
  const int64_t window = std::max<int64_t>(1, in.tokens / 2);
  profile.mutable_window()->set_tokens(static_cast<uint32_t>(window));
  profile.mutable_knn();

  const std::vector<int64_t> key_positions = keys_at.Integers();
  std::vector<int64_t> positions = queries_at.Integers();
  if (!causal) {
    // A row that sees every key stands behind the last; rotated, it would also
    // be turned by that position.
    if (theta) return absl::UnimplementedError("rotated reads of later keys");
    positions.assign(positions.size(), *std::max_element(key_positions.begin(),
                                                         key_positions.end()));
  }
  ASSIGN_OR_RETURN(const auto session, WireSession::Create(client, profile));
  RETURN_IF_ERROR(session->Append(in, 0, in.tokens, key_positions));
  ASSIGN_OR_RETURN(const WireSession::Answer answer,
                   session->Attend(in, 0, in.rows, positions, {}));
  Outputs outputs;
  outputs["out"].assign(answer.out.begin(), answer.out.end());
  outputs["lse"].assign(answer.lse.begin(), answer.lse.end());
  return outputs;
}

}  // namespace mneme::golden
