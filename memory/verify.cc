#include "memory/verify.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "attention/dtype.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "memory/attend.h"
#include "memory/intake.h"
#include "memory/key_reader.h"
#include "memory/keys.h"
#include "memory/knn_search.h"
#include "memory/record.h"
#include "memory/sealing.h"
#include "memory/tier_scorer.h"

namespace mneme::memory {
namespace {

// Queries of the attention check: enough to meet old, middle and new tokens.
constexpr uint64_t kSampledQueries = 16;

// How far attention through the tiers was from sums in double precision.
struct AttentionGap {
  double absolute = 0;
  double relative = 0;   // Of the largest value.
  double tolerance = 0;  // Of `relative`.

  // What float32 may lose: a logit has an error of up to dim * |logit| units in
  // the last place, which is that of its weight; sums of `keys` weights, and
  // the exponential, lose the rest. Twice, for numerator and normaliser.
  static double Tolerance(double largest_logit, uint64_t dim, uint64_t keys) {
    const double ulps =
        static_cast<double>(dim) * std::max(1.0, largest_logit) +
        8 * std::sqrt(static_cast<double>(keys)) + 64;
    return 2 * ulps * std::ldexp(1.0, -24);
  }
  bool ok() const { return relative <= tolerance; }  // False for NaN.
  void Widen(const AttentionGap& other) {
    absolute =
        std::isnan(absolute) ? absolute : std::max(other.absolute, absolute);
    // What is furthest from its own tolerance stays.
    if (!ok()) return;
    if (!other.ok() || tolerance == 0 ||
        other.relative * tolerance > relative * other.tolerance) {
      relative = other.relative;
      tolerance = other.tolerance;
    }
  }
};

class Verifier {
 public:
  Verifier(const StoreView& store, const LogView& view,
           const attention::PositionEncoder& positions,
           const Cancelled& cancelled)
      : store_(store),
        view_(view),
        profile_(*view.profile),
        positions_(positions),
        cancelled_(cancelled) {}

  absl::StatusOr<std::vector<VerifyCheck>> Run() {
    RETURN_IF_ERROR(CheckRecords());
    if (view_.text) CheckText();
    if (profile_.knn && Indexable(profile_)) CheckSegments();
    if (view_.fold) CheckCompressive();
    RETURN_IF_ERROR(CheckAttention());
    CheckForgotten();
    if (cancelled_()) return absl::CancelledError("the caller is gone");
    return std::move(checks_);
  }

 private:
  VerifyCheck& Start(std::string name) {
    return checks_.emplace_back(VerifyCheck{.name = std::move(name)});
  }

  static void Fail(VerifyCheck& check, std::string why) {
    // The first finding is told in full, the others are counted.
    if (check.ok) check.detail = std::move(why);
    check.ok = false;
  }

  // Every record's checksum, and that blocks on disk are those in memory.
  absl::Status CheckRecords() {
    VerifyCheck records{.name = "records"};
    VerifyCheck blocks{.name = "blocks"};
    for (const Branch::Part& part : view_.branch->Parts(view_.seq_next)) {
      RETURN_IF_ERROR(CheckPart(part, records, blocks));
    }
    checks_.push_back(std::move(records));
    checks_.push_back(std::move(blocks));
    return absl::OkStatus();
  }

  absl::Status CheckPart(const Branch::Part& part, VerifyCheck& records,
                         VerifyCheck& blocks) {
    const KeyRange range = AllOf(part.uid);
    const size_t kind_at = range.first.size();
    RETURN_IF_ERROR(
        store_.Scan(range.first, range.second,
                    [&](std::string_view key, std::string_view record) {
                      const auto kind = static_cast<RecordKind>(key[kind_at]);
                      const auto payload = OpenRecord(kind, key, record);
                      ++records.checked;
                      if (!payload.ok()) {
                        Fail(records, std::string(payload.status().message()));
                      }
                      return !cancelled_();
                    }));
    // Blocks that were completed under this uid.
    const uint64_t end = part.seqs.end / kBlockTokens;
    for (uint64_t number = part.seqs.begin / kBlockTokens;
         number < end && !cancelled_(); ++number) {
      RETURN_IF_ERROR(CheckBlock(part.uid, number, blocks));
    }
    return absl::OkStatus();
  }

  absl::Status CheckBlock(uint64_t uid, uint64_t number, VerifyCheck& check) {
    const RowBlock& block = *(*view_.rows)[number];
    // A trunk's block leaves the disk when nobody remembers it.
    const uint64_t first = number * kBlockTokens;
    const bool all_forgotten =
        view_.forgotten->CountIn({first, first + kBlockTokens}) == kBlockTokens;
    for (uint32_t bank = 0; bank < profile_.bank_count(); ++bank) {
      ++check.checked;
      std::string rows(reinterpret_cast<const char*>(block.keys(bank)),
                       kBlockTokens * profile_.key_bytes());
      rows.append(reinterpret_cast<const char*>(block.values(bank)),
                  kBlockTokens * profile_.value_bytes());
      ASSIGN_OR_RETURN(const bool same,
                       Holds(RecordKind::kRows, RowsKey(uid, number, bank),
                             number, rows, all_forgotten));
      if (same) continue;
      Fail(check, absl::StrCat("block ", number, " of bank ", bank,
                               " differs between memory and disk"));
    }
    const std::string positions(
        reinterpret_cast<const char*>(block.positions().data()),
        block.positions().size_bytes());
    ASSIGN_OR_RETURN(const bool same,
                     Holds(RecordKind::kPositions, PositionsKey(uid, number),
                           number, positions, false));
    if (!same) {
      Fail(check, absl::StrCat("positions of block ", number,
                               " differ between memory and disk"));
    }
    return absl::OkStatus();
  }

  // Whether the disk has this of a block under `key`, or nothing, where that
  // may be.
  absl::StatusOr<bool> Holds(RecordKind kind, const std::string& key,
                             uint64_t number, std::string expected,
                             bool may_be_missing) const {
    const absl::StatusOr<std::string> record = store_.Read(key);
    if (absl::IsNotFound(record.status())) return may_be_missing;
    RETURN_IF_ERROR(record.status());
    const auto payload = OpenRecord(kind, key, *record);
    if (!payload.ok() || payload->size() != expected.size()) return false;
    if (*payload == expected) return true;
    if (kind != RecordKind::kRows) return false;
    // The rows of forgotten tokens may be overwritten on one side only.
    std::string found(*payload);
    BlankForgotten(number, expected);
    BlankForgotten(number, found);
    return found == expected;
  }

  void BlankForgotten(uint64_t number, std::string& rows) const {
    const uint64_t first = number * kBlockTokens;
    char* const keys = rows.data();
    char* const values = keys + kBlockTokens * profile_.key_bytes();
    view_.forgotten->ForEachRun(
        {first, first + kBlockTokens}, [&](SeqRange gone) {
          const uint64_t row = gone.begin - first;
          std::fill_n(keys + row * profile_.key_bytes(),
                      gone.size() * profile_.key_bytes(), '\0');
          std::fill_n(values + row * profile_.value_bytes(),
                      gone.size() * profile_.value_bytes(), '\0');
        });
  }

  void CheckText() {
    VerifyCheck& text = Start("text");
    const TextView& view = *view_.text;
    uint64_t seq = 0;
    for (size_t i = 0; i < view.entry_count; ++i) {
      const Entry& entry = *(*view.entries)[i];
      ++text.checked;
      if (base::FirstInvalidUtf8(entry.text)) {
        Fail(text, absl::StrCat("entry ", entry.number, " is not UTF-8"));
      }
      if (entry.seq_first < seq ||
          entry.seq_first + entry.seq_count > view_.seq_next) {
        Fail(text,
             absl::StrCat("entry ", entry.number, " lies outside the log"));
      }
      seq = entry.seq_first + entry.seq_count;
    }
    CheckLexical();
  }

  // The postings of every passage, from its words.
  void CheckLexical() {
    VerifyCheck& lexical = Start("lexical");
    const TextView& view = *view_.text;
    for (uint32_t p = 0; p < view.passage_count; ++p) {
      if (cancelled_()) return;
      const PassagePlace& place = (*view.passages)[p];
      ++lexical.checked;
      const auto terms = PassageTerms(
          place.entry->role,
          std::string_view(place.entry->text)
              .substr(place.bytes.begin, place.bytes.end - place.bytes.begin));
      for (const TermCount& term : terms) ++recounted_[term.term];
    }
    // A term's postings are what a query of it alone finds.
    for (const auto& [term, passages] : recounted_) {
      if (cancelled_()) return;
      const TermCount query{term, 1};
      const size_t found = view.lexical->Score(std::span(&query, 1)).size();
      if (found != passages) {
        Fail(lexical, absl::StrCat("a term is in ", passages,
                                   " passages, its postings name ", found));
      }
    }
  }

  void CheckSegments() {
    VerifyCheck& check = Start("segments");
    KeyReader reader(profile_, positions_,
                     FormOf(profile_.knn->positions, profile_.knn->dtype));
    std::vector<float> keys(kSealTokens * profile_.key_dim);
    for (const auto& segment : *view_.segments) {
      for (size_t bank = 0; bank < segment->banks.size(); ++bank) {
        if (cancelled_()) return;
        ++check.checked;
        ReadRun(view_, segment->range, bank, reader, keys.data());
        CheckSegment(segment->banks[bank], keys.data(), check);
      }
    }
  }

  // A bound that a member beats would lose it from answers.
  void CheckSegment(const SegmentIndex& index, const float* keys,
                    VerifyCheck& check) const {
    for (size_t c = 0; c < index.cluster_count(); ++c) {
      for (const uint32_t member : index.Members(c)) {
        double square = 0;
        for (size_t i = 0; i < index.dim; ++i) {
          const double difference = double{keys[member * index.dim + i]} -
                                    index.centers[c * index.dim + i];
          square += difference * difference;
        }
        if (std::sqrt(square) > index.radii[c] * (1 + 1e-5) + 1e-6) {
          Fail(check, "a key lies outside its cluster's radius");
        }
      }
    }
  }

  void CheckCompressive() {
    VerifyCheck& check = Start("compressive");
    Fold fold(profile_, view_.fold->features);
    fold.AbsorbUpTo(profile_, *view_.rows, *view_.forgotten,
                    AbsorbedEnd(profile_, view_.ranges()));
    check.checked = fold.absorbed_seq;
    if (fold.absorbed_seq != view_.fold->absorbed_seq) {
      Fail(check, "the state has not absorbed what has left the window");
      return;
    }
    for (uint32_t layer = 0; layer < profile_.layers; ++layer) {
      // The fold's sums are a function of the log: a replay is bit-equal.
      if (EncodeFoldLayer(profile_, fold, layer) !=
          EncodeFoldLayer(profile_, *view_.fold, layer)) {
        Fail(check, absl::StrCat("the state of layer ", layer,
                                 " differs from a replay of the log"));
      }
    }
    if (check.ok) check.detail = "bit-equal to a replay of the log";
  }

  // Attention through the tiers, every key read, against double precision.
  absl::Status CheckAttention() {
    VerifyCheck check{.name = "attention"};
    AttentionGap worst;
    std::set<uint64_t> seqs;
    for (uint64_t i = 0; i < kSampledQueries && view_.seq_next > 0; ++i) {
      seqs.insert((view_.seq_next - 1) * i / (kSampledQueries - 1));
    }
    for (const uint64_t seq : seqs) {
      if (view_.forgotten->Contains(seq)) continue;
      const auto layer = static_cast<uint32_t>(check.checked % profile_.layers);
      const absl::StatusOr<AttentionGap> gap = GapOf(layer, seq);
      // Keys so large that they overflow as queries are no damage.
      if (absl::IsOutOfRange(gap.status())) continue;
      RETURN_IF_ERROR(gap.status());
      worst.Widen(*gap);
      ++check.checked;
    }
    check.ok = worst.ok();
    check.detail = absl::StrFormat(
        "%d queries against full attention summed in double precision: largest "
        "error %.2g, %.2g of the largest value (float32 may lose %.2g)",
        check.checked, worst.absolute, worst.relative, worst.tolerance);
    checks_.push_back(std::move(check));
    return absl::OkStatus();
  }

  struct CheckedTier {
    Tier tier;
    PositionRule rule;
    SeqRange range;
  };

  // Tiers that one softmax reads, every key of them. Landmarks weigh keys by
  // more than their logits, and are left out.
  std::vector<std::vector<CheckedTier>> SoftmaxTiers() const {
    const TierRanges ranges = view_.ranges();
    std::vector<CheckedTier> local;
    if (profile_.sink) {
      local.push_back({Tier::kSink, profile_.sink->positions, ranges.sink});
    }
    if (profile_.window) {
      local.push_back(
          {Tier::kWindow, profile_.window->positions, ranges.window});
    }
    if (!profile_.knn || profile_.knn->chunk_score == ChunkScore::kLandmark) {
      return {local};
    }
    const CheckedTier knn{Tier::kKnn, profile_.knn->positions, ranges.knn};
    if (!profile_.knn->gate_logits.empty()) return {local, {knn}};
    local.push_back(knn);
    return {local};
  }

  // The key at `seq` asks, from behind the log.
  absl::StatusOr<AttentionGap> GapOf(uint32_t layer, uint64_t seq) const {
    AttentionGap worst;
    for (const std::vector<CheckedTier>& tiers : SoftmaxTiers()) {
      if (tiers.empty()) continue;
      AttendQuery query;
      for (const CheckedTier& tier : tiers) query.tiers.push_back(tier.tier);
      query.top_k = 0;
      LayerRead read{.layer = layer, .rows = 1};
      for (uint32_t head = 0; head < profile_.query_heads; ++head) {
        const size_t bank =
            size_t{layer} * profile_.kv_heads + head / profile_.group_size();
        std::vector<float> key(profile_.key_dim);
        attention::ToFloat(profile_.dtype,
                           (*view_.rows)[seq / kBlockTokens]->keys(bank) +
                               seq % kBlockTokens * profile_.key_bytes(),
                           profile_.key_dim, key.data());
        read.queries.insert(read.queries.end(), key.begin(), key.end());
      }
      query.reads.push_back(read);
      ASSIGN_OR_RETURN(const AttendResult result,
                       AttendOver(view_, positions_, query, cancelled_));
      std::vector<std::unique_ptr<TierScorer>> scorers;
      for (const CheckedTier& tier : tiers) {
        const bool in_knn = tier.tier == Tier::kKnn;
        scorers.push_back(std::make_unique<TierScorer>(
            view_, positions_, tier.rule,
            in_knn ? profile_.knn->dtype : std::nullopt, read,
            std::vector{std::min(view_.position_next, kPositionMax)}));
      }
      for (uint32_t kv_head = 0; kv_head < profile_.kv_heads; ++kv_head) {
        worst.Widen(BankGap(tiers, scorers, kv_head, result.outputs[0].output));
      }
    }
    return worst;
  }

  // Without what is forgotten: ranks in a cache count live tokens.
  template <typename Visit>
  void ForEachLiveSlice(SeqRange range, Visit visit) const {
    view_.forgotten->ForEachGap(
        range, [&](SeqRange live) { ForEachSlice(*view_.rows, live, visit); });
  }

  // Of a bank's heads, whose weights are summed in double.
  AttentionGap BankGap(const std::vector<CheckedTier>& tiers,
                       const std::vector<std::unique_ptr<TierScorer>>& scorers,
                       uint32_t kv_head,
                       const std::vector<float>& output) const {
    const size_t heads = profile_.group_size();
    const size_t dim = profile_.value_dim;
    std::vector<double> sums(heads * dim, 0);
    std::vector<double> totals(heads, 0);
    std::vector<double> largest(heads, -1e300);
    std::vector<float> logits(heads * kBlockTokens);
    double largest_value = 1e-30;
    double largest_logit = 0;
    uint64_t keys = 0;
    // Two passes: the largest logits, then the sums.
    for (const bool summing : {false, true}) {
      for (size_t t = 0; t < tiers.size(); ++t) {
        TierScorer& scorer = *scorers[t];
        ForEachLiveSlice(tiers[t].range, [&](const BlockSlice& slice) {
          if (cancelled_()) return false;
          scorer.Score(slice, kv_head, logits.data());
          const float* const values = scorer.Values(slice, kv_head);
          for (size_t i = 0; i < slice.count; ++i) {
            keys += summing;
            for (size_t head = 0; head < heads; ++head) {
              const double logit = logits[head * slice.count + i];
              if (!summing) {
                largest_logit = std::max(largest_logit, std::abs(logit));
                largest[head] = std::max(largest[head], logit);
                continue;
              }
              const double weight = std::exp(logit - largest[head]);
              totals[head] += weight;
              for (size_t j = 0; j < dim; ++j) {
                const double value = values[i * dim + j];
                sums[head * dim + j] += weight * value;
                largest_value = std::max(largest_value, std::abs(value));
              }
            }
          }
          return true;
        });
      }
    }
    AttentionGap gap{.tolerance = AttentionGap::Tolerance(
                         largest_logit, profile_.key_dim, keys)};
    for (size_t head = 0; head < heads; ++head) {
      if (totals[head] == 0) continue;
      const float* const got = output.data() + (kv_head * heads + head) * dim;
      for (size_t j = 0; j < dim; ++j) {
        const double error =
            std::abs(sums[head * dim + j] / totals[head] - got[j]);
        gap.absolute =
            std::isnan(error) ? error : std::max(error, gap.absolute);
        gap.relative = gap.absolute / largest_value;
        if (std::isnan(error)) return gap;
      }
    }
    return gap;
  }

  // No entry is of forgotten tokens. Their rows are overwritten in the
  // background, or stay where another session remembers them.
  void CheckForgotten() {
    VerifyCheck& check = Start("forgotten");
    uint64_t rows = 0;
    ForEachSlice(*view_.rows, {0, view_.seq_next}, [&](BlockSlice slice) {
      for (size_t i = 0; i < slice.count; ++i) {
        if (!view_.forgotten->Contains(slice.seq_first + i)) continue;
        ++check.checked;
        if (!slice.block->RowIsZero(slice.first + i)) ++rows;
      }
      return true;
    });
    if (rows > 0) {
      check.detail = absl::StrCat("rows of ", rows,
                                  " wait to be overwritten, or are shared");
    }
    for (size_t i = 0; view_.text && i < view_.text->entry_count; ++i) {
      const Entry& entry = *(*view_.text->entries)[i];
      if (view_.forgotten->CountIn(
              {entry.seq_first, entry.seq_first + entry.seq_count}) > 0) {
        Fail(check, absl::StrCat("entry ", entry.number,
                                 " was forgotten but has text"));
      }
    }
  }

  const StoreView& store_;
  const LogView& view_;
  const Profile& profile_;
  const attention::PositionEncoder& positions_;
  const Cancelled& cancelled_;
  std::vector<VerifyCheck> checks_;
  std::map<uint64_t, size_t> recounted_;  // Term -> passages that have it.
};

}  // namespace

absl::StatusOr<std::vector<VerifyCheck>> VerifySession(
    const StoreView& store, const LogView& view,
    const attention::PositionEncoder& positions, const Cancelled& cancelled) {
  return Verifier(store, view, positions, cancelled).Run();
}

}  // namespace mneme::memory
