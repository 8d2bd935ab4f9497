#include "memory/recall.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "memory/attend.h"
#include "memory/text/fusion.h"

namespace mneme::memory {
namespace {

// Rows of each semantic head whose mass is told apart; the others only count in
// the normaliser. At the temperature used, their mass is out of sight.
constexpr uint32_t kRecallRows = 1024;
constexpr std::array<std::string_view, 2> kSemanticHeads = {"words", "ngrams"};

std::vector<ByteSpan> MatchesIn(std::string_view text,
                                const std::vector<TermCount>& query) {
  std::vector<ByteSpan> matches;
  for (const WordAt& word : WordsOf(text)) {
    const auto it = std::lower_bound(
        query.begin(), query.end(), word.term,
        [](const TermCount& a, uint64_t term) { return a.term < term; });
    if (it != query.end() && it->term == word.term) {
      matches.push_back({word.bytes.begin, word.bytes.end});
    }
  }
  return matches;
}

// Attention of the query's two keys over every sentence.
absl::StatusOr<LayerOutput> AttendSentences(
    const LogView& view, const attention::PositionEncoder& positions,
    const Encoder& encoder, std::string_view query,
    const Cancelled& cancelled) {
  LayerRead read;
  read.rows = 1;
  read.queries.resize(size_t{view.profile->query_heads} *
                      view.profile->key_dim);
  encoder.Encode(query, read.queries);
  AttendQuery attend;
  attend.reads.push_back(std::move(read));
  attend.top_items = kRecallRows;
  if (view.rebuilding())
    attend.tiers = {Tier::kSink, Tier::kWindow, Tier::kKnn};
  ASSIGN_OR_RETURN(AttendResult result,
                   AttendOver(view, positions, attend, cancelled));
  return std::move(result.outputs[0]);
}

// Mass by tier over all heads. The lexical head's is that of its passages; the
// semantic heads' is what the tiers reported.
TierShares FuseShares(const LogView& view, const LayerOutput& semantic,
                      const std::vector<FusedPassage>& fused) {
  const TierRanges ranges = view.ranges();
  double lexical_total = 0;
  TierShares lexical{};
  for (const FusedPassage& passage : fused) {
    const uint64_t seq = (*view.text->passages)[passage.passage].seq_first;
    lexical_total += passage.lexical_share;
    lexical[static_cast<size_t>(*TierOf(ranges, seq))] += passage.lexical_share;
  }
  if (lexical_total <= 0) return semantic.shares;
  const double semantic_weight =
      2 * kSemanticWeight / (2 * kSemanticWeight + kLexicalWeight);
  TierShares shares{};
  for (size_t tier = 0; tier < kTierCount; ++tier) {
    shares[tier] = semantic_weight * semantic.shares[tier] +
                   (1 - semantic_weight) * lexical[tier] / lexical_total;
  }
  return shares;
}

}  // namespace

bool Matches(const RecallFilter& filter, const Entry& entry) {
  if (!filter.source.empty() && entry.source != filter.source) return false;
  if (!filter.role.empty() && entry.role != filter.role) return false;
  return std::all_of(
      filter.metadata.begin(), filter.metadata.end(), [&](const auto& pair) {
        const auto it = entry.metadata.find(pair.first);
        return it != entry.metadata.end() && it->second == pair.second;
      });
}

absl::Status CheckRecallQuery(const RecallQuery& query) {
  if (query.query.size() > kQueryBytesMax) {
    return base::InvalidField("query",
                              absl::StrCat(query.query.size(), " bytes"),
                              absl::StrCat("at most ", kQueryBytesMax));
  }
  if (const auto bad = base::FirstInvalidUtf8(query.query)) {
    return base::InvalidField(
        "query", absl::StrCat("invalid UTF-8 at byte ", *bad), "UTF-8");
  }
  if (base::IsBlank(query.query)) {
    return base::InvalidField(
        "query", query.query.empty() ? "nothing" : "only white space",
        "a question or some words");
  }
  if (query.limit < 1 || query.limit > kRecallLimitMax) {
    return base::InvalidField("limit", absl::StrCat(query.limit),
                              absl::StrCat("1 to ", kRecallLimitMax));
  }
  return absl::OkStatus();
}

RecalledPassage DescribePassage(const LogView& view, uint32_t passage) {
  const PassagePlace& place = (*view.text->passages)[passage];
  const Entry& entry = *place.entry;
  RecalledPassage out;
  out.text =
      entry.text.substr(place.bytes.begin, place.bytes.end - place.bytes.begin);
  out.entry = entry.number;
  out.span = {place.bytes.begin, place.bytes.end};
  out.source = entry.source;
  out.source_span = {entry.source_offset + place.bytes.begin,
                     entry.source_offset + place.bytes.end};
  out.seq_first = place.seq_first;
  out.tokens = place.tokens;
  out.role = entry.role;
  out.time_us = entry.time_us;
  out.metadata = entry.metadata;
  out.tier = *TierOf(view.ranges(), place.seq_first);
  return out;
}

absl::StatusOr<RecallResult> RecallOver(
    const LogView& view, const attention::PositionEncoder& positions,
    const Encoder& encoder, const RecallQuery& query,
    const Cancelled& cancelled) {
  RecallResult result;
  result.seq_next = view.seq_next;
  const TextView& text = *view.text;
  if (text.passage_count == 0) return result;
  ASSIGN_OR_RETURN(
      const LayerOutput semantic,
      AttendSentences(view, positions, encoder, query.query, cancelled));
  const std::vector<TermCount> terms = TermsOf(query.query);
  const std::vector<ScoredPassage> lexical =
      text.lexical->Score(terms, cancelled);
  if (cancelled()) return absl::CancelledError("the caller is gone");

  std::array<std::vector<RowLogit>, kSemanticHeads.size()> rows;
  for (const AttendedItem& item : semantic.items) {
    rows[item.head].push_back({text.PassageOf(item.seq), item.logit});
  }
  std::vector<SemanticEvidence> evidence(kSemanticHeads.size());
  for (size_t head = 0; head < evidence.size(); ++head) {
    evidence[head].rows = rows[head];
    evidence[head].lse = semantic.lse[head];
  }
  const std::vector<FusedPassage> fused =
      Fuse({.passage_count = text.passage_count, .scores = lexical}, evidence,
           [&](uint32_t passage) { return text.Joined(passage); });
  if (cancelled()) return absl::CancelledError("the caller is gone");
  result.shares = FuseShares(view, semantic, fused);

  for (const FusedPassage& found : fused) {
    if (result.passages.size() == query.limit) break;
    if (cancelled()) return absl::CancelledError("the caller is gone");
    const Entry& entry = *(*text.passages)[found.passage].entry;
    if (!Matches(query.filter, entry)) continue;
    RecalledPassage passage = DescribePassage(view, found.passage);
    passage.share = found.share;
    passage.score = std::log(found.share);
    passage.heads.emplace_back("lexical", found.lexical_share);
    for (size_t head = 0; head < kSemanticHeads.size(); ++head) {
      passage.heads.emplace_back(kSemanticHeads[head],
                                 found.semantic_shares[head]);
    }
    passage.matches = MatchesIn(passage.text, terms);
    result.passages.push_back(std::move(passage));
  }
  return result;
}

}  // namespace mneme::memory
