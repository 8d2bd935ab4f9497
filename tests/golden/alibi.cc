// ALiBi: slopes by the library, attention through the server's tiers.

#include "attention/alibi.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "tests/golden/methods.h"
#include "tests/golden/wire.h"

namespace mneme::golden {
namespace {

using attention::AlibiConfig;

// The slopes that an output's name asks for: slopes_ofir_6, slopes_bloom_6 or
// slopes_mpt8_6, where 8 is bias_max.
absl::StatusOr<std::vector<double>> SlopesNamed(const std::string& output) {
  const std::vector<std::string> words = absl::StrSplit(output, '_');
  const auto bad = absl::InvalidArgumentError("unknown output " + output);
  int heads;
  if (words.size() != 3 || words[0] != "slopes" ||
      !absl::SimpleAtoi(words[2], &heads) || heads < 1 || heads > 65536) {
    return bad;
  }
  AlibiConfig alibi;
  if (absl::StartsWith(words[1], "mpt")) {
    if (!absl::SimpleAtod(words[1].substr(3), &alibi.bias_max)) return bad;
  } else if (words[1] != "ofir" && words[1] != "bloom") {
    return bad;
  }
  return attention::AlibiSlopes(alibi, heads);
}

absl::StatusOr<Outputs> AttendWithAlibi(const Case& c, client::Client& client) {
  ASSIGN_OR_RETURN(const Heads in, ReadHeads(c));
  ASSIGN_OR_RETURN(const auto scale, c.Number("scale"));
  ASSIGN_OR_RETURN(const auto bias_max, c.Number("alibi_bias_max"));
  v1::Profile profile =
      ProfileFor(in, scale.value_or(1 / std::sqrt(in.key_dim)));
  profile.mutable_position()->set_family(v1::POSITION_FAMILY_ALIBI);
  AlibiConfig alibi;
  alibi.bias_max = bias_max.value_or(alibi.bias_max);
  profile.mutable_position()->mutable_alibi()->set_bias_max(alibi.bias_max);
  // Half of the tokens have left the window, so that two tiers are merged.
  const int64_t window = std::max<int64_t>(1, in.tokens / 2);
  profile.mutable_window()->set_tokens(static_cast<uint32_t>(window));
  profile.mutable_knn();
  ASSIGN_OR_RETURN(const auto session, WireSession::Create(client, profile));
  RETURN_IF_ERROR(session->Append(in, 0, in.tokens, Positions(0, in.tokens)));
  ASSIGN_OR_RETURN(
      const WireSession::Answer answer,
      session->Attend(in, 0, in.rows, Positions(in.tokens - in.rows, in.tokens),
                      {}));
  Outputs outputs;
  outputs["out"].assign(answer.out.begin(), answer.out.end());
  outputs["lse"].assign(answer.lse.begin(), answer.lse.end());
  outputs["slopes"] = attention::AlibiSlopes(alibi, static_cast<int>(in.heads));
  return outputs;
}

}  // namespace

absl::StatusOr<Outputs> Alibi(const Case& c, client::Client& client) {
  if (c.Wants("out")) return AttendWithAlibi(c, client);
  Outputs outputs;
  for (const std::string& output : c.outputs()) {
    ASSIGN_OR_RETURN(outputs[output], SlopesNamed(output));
  }
  return outputs;
}

}  // namespace mneme::golden
