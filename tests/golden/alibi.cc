// ALiBi's slopes, by the library.

#include "attention/alibi.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "tests/golden/methods.h"

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

}  // namespace

absl::StatusOr<Computed> Alibi(const Case& c, client::Client&) {
  if (c.Wants("out")) return Computed{{}, "a server's tiers with ALiBi"};
  Computed computed;
  for (const std::string& output : c.outputs()) {
    ASSIGN_OR_RETURN(computed.outputs[output], SlopesNamed(output));
  }
  return computed;
}

}  // namespace mneme::golden
