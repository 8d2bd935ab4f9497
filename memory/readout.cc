#include "memory/readout.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "attention/dtype.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "memory/tiers.h"

namespace mneme::memory {
namespace {

// What seq, position and tier of a token take in an answer.
constexpr size_t kTokenPlaceBytes = 24;

absl::Status CheckLayer(const Profile& profile, uint32_t layer) {
  if (layer < profile.layers) return absl::OkStatus();
  return base::InvalidField("layer", absl::StrCat(layer),
                            absl::StrCat("0 to ", profile.layers - 1));
}

// `count` elements of the profile's type, rounded as the kNN tier reads them.
void AppendRow(const Profile& profile, const std::byte* row, size_t count,
               bool in_knn, std::string& out) {
  const size_t bytes = count * attention::SizeOf(profile.dtype);
  if (!in_knn || !profile.knn->dtype) {
    out.append(reinterpret_cast<const char*>(row), bytes);
    return;
  }
  std::vector<float> numbers(count);
  std::vector<std::byte> rounded(bytes);
  attention::ToFloat(profile.dtype, row, count, numbers.data());
  attention::FromFloat(*profile.knn->dtype, numbers.data(), count,
                       rounded.data());
  attention::ToFloat(*profile.knn->dtype, rounded.data(), count,
                     numbers.data());
  attention::FromFloat(profile.dtype, numbers.data(), count, rounded.data());
  out.append(reinterpret_cast<const char*>(rounded.data()), bytes);
}

void AppendAll(const std::vector<float>& from, std::vector<float>& to) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

absl::StatusOr<TokensResult> ReadTokensOver(const LogView& view,
                                            const TokensQuery& query) {
  const Profile& profile = *view.profile;
  RETURN_IF_ERROR(CheckLayer(profile, query.layer));
  const size_t token_bytes =
      kTokenPlaceBytes +
      (query.tensors
           ? profile.kv_heads * (profile.key_bytes() + profile.value_bytes())
           : 0);
  uint64_t limit = std::max<uint64_t>(kReadBytesMax / token_bytes, 1);
  if (query.limit > 0) limit = std::min(limit, query.limit);
  const TierRanges ranges = view.ranges();
  TokensResult result;
  const auto add = [&](SeqRange range) {
    range.begin = std::max(range.begin, query.seq_begin);
    view.forgotten->ForEachGap(range, [&](SeqRange live) {
      for (uint64_t seq = live.begin; seq < live.end && !result.next_seq;
           ++seq) {
        if (result.seqs.size() == limit) {
          result.next_seq = seq;
          return;
        }
        result.seqs.push_back(seq);
        result.tiers.push_back(TierOf(ranges, seq));
        result.positions.push_back(PositionAt(*view.rows, seq));
      }
    });
  };
  if (query.tiers.empty()) add({0, view.seq_next});
  for (const auto& [tier, range] :
       {std::pair{Tier::kSink, ranges.sink}, std::pair{Tier::kKnn, ranges.knn},
        std::pair{Tier::kWindow, ranges.window}}) {
    const bool wanted =
        std::count(query.tiers.begin(), query.tiers.end(), tier) > 0;
    if (wanted) add(range);
  }
  if (!query.tensors) return result;
  for (uint32_t head = 0; head < profile.kv_heads; ++head) {
    const size_t bank = size_t{query.layer} * profile.kv_heads + head;
    for (size_t i = 0; i < result.seqs.size(); ++i) {
      const RowBlock& block = *(*view.rows)[result.seqs[i] / kBlockTokens];
      const size_t row = result.seqs[i] % kBlockTokens;
      const bool in_knn = result.tiers[i] == Tier::kKnn;
      AppendRow(profile, block.keys(bank) + row * profile.key_bytes(),
                profile.key_dim, in_knn, result.keys);
      AppendRow(profile, block.values(bank) + row * profile.value_bytes(),
                profile.value_dim, in_knn, result.values);
    }
  }
  return result;
}

absl::StatusOr<CompressiveRead> ReadCompressive(const LogView& view,
                                                uint32_t layer,
                                                uint64_t known_version,
                                                std::string_view identity) {
  const Profile& profile = *view.profile;
  RETURN_IF_ERROR(CheckLayer(profile, layer));
  const Fold& fold = *view.fold;
  CompressiveRead read;
  read.absorbed_seq = fold.absorbed_seq;
  read.version = fold.Version(identity, *view.forgotten);
  read.known = known_version == read.version;
  if (read.known) return read;
  if (fold.features) {
    read.performer.emplace().projection = fold.features->projection;
  }
  for (uint32_t head = 0; head < profile.kv_heads; ++head) {
    const size_t bank = size_t{layer} * profile.kv_heads + head;
    if (fold.features) {
      const attention::PerformerState& state = fold.performer_banks[bank];
      AppendAll(state.matrix, read.matrix);
      AppendAll(state.normalizer, read.normalizer);
      AppendAll(state.value_sum, read.performer->value_sum);
      // Features of RELU, and an empty state, have subtracted nothing.
      const bool has_stabilizer =
          state.token_count > 0 &&
          fold.features->kernel == attention::PerformerKernel::kSoftmax;
      read.performer->stabilizers.push_back(has_stabilizer ? state.stabilizer
                                                           : 0);
      read.performer->tokens = state.token_count;
    } else {
      AppendAll(fold.banks[bank].matrix, read.matrix);
      AppendAll(fold.banks[bank].normalizer, read.normalizer);
    }
  }
  const auto finite = [](const std::vector<float>& numbers) {
    return std::all_of(numbers.begin(), numbers.end(),
                       [](float number) { return std::isfinite(number); });
  };
  if (!finite(read.matrix) || !finite(read.normalizer) ||
      (read.performer && (!finite(read.performer->value_sum) ||
                          !finite(read.performer->stabilizers)))) {
    return base::Error(
        absl::StatusCode::kOutOfRange,
        absl::StrCat("layer ", layer,
                     ": the state overflows float32; scale keys or values "
                     "down"),
        {.reason = "STATE_OVERFLOW"});
  }
  return read;
}

}  // namespace mneme::memory
