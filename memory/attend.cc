#include "memory/attend.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "attention/gate.h"
#include "attention/partial.h"
#include "attention/softmax.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "memory/selection.h"
#include "memory/tier_scorer.h"
#include "memory/top_k.h"

namespace mneme::memory {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Keys that one read of a layer may hold at once while it chooses.
constexpr uint64_t kChosenKeysMax = 1 << 22;

bool Has(const AttendQuery& query, Tier tier) {
  return query.tiers.empty() ||
         std::find(query.tiers.begin(), query.tiers.end(), tier) !=
             query.tiers.end();
}

// One softmax tier of one layer, of every bank.
struct TierRead {
  Tier tier;
  std::unique_ptr<TierScorer> scorer;
  std::vector<attention::SoftmaxAccumulator> banks;  // [kv_heads].
};

// Answers one LayerRead.
class LayerReader {
 public:
  LayerReader(const LogView& view, const attention::PositionEncoder& encoder,
              const AttendQuery& query, const LayerRead& read,
              const Cancelled& cancelled)
      : view_(view),
        profile_(*view.profile),
        encoder_(encoder),
        query_(query),
        read_(read),
        cancelled_(cancelled),
        positions_(read.positions),
        bank_rows_(profile_.group_size() * read.rows),
        ranges_(view.ranges()) {
    if (positions_.empty()) {
      positions_.assign(read.rows, std::min(view.position_next, kPositionMax));
    }
    // A kNN tier with a softmax of its own, beside another.
    knn_is_gated_ = profile_.knn && !profile_.knn->gate_logits.empty() &&
                    Has(query_, Tier::kKnn) &&
                    ((profile_.sink && Has(query_, Tier::kSink)) ||
                     (profile_.window && Has(query_, Tier::kWindow)));
    items_.assign(size_t{2} * profile_.query_heads * read.rows,
                  TopK(query.top_items));
    logits_.resize(bank_rows_ * kBlockTokens);
  }

  absl::StatusOr<LayerOutput> Run() {
    if (Has(query_, Tier::kSink) && profile_.sink) {
      RETURN_IF_ERROR(
          ReadExact(Tier::kSink, profile_.sink->positions, ranges_.sink));
    }
    if (Has(query_, Tier::kKnn) && profile_.knn) {
      RETURN_IF_ERROR(ReadKnn());
    }
    if (Has(query_, Tier::kWindow) && profile_.window) {
      RETURN_IF_ERROR(
          ReadExact(Tier::kWindow, profile_.window->positions, ranges_.window));
    }
    LayerOutput output;
    output.layer = read_.layer;
    RETURN_IF_ERROR(MergeTiers(output));
    if (Has(query_, Tier::kCompressive) && profile_.compressive) {
      if (view_.rebuilding()) return StateRebuilding();
      RETURN_IF_ERROR(MixCompressive(output));
    }
    AverageShares(output);
    ReportItems(output);
    return output;
  }

 private:
  absl::StatusOr<TierRead> MakeTier(Tier tier, const PositionRule& rule) const {
    TierRead made;
    made.tier = tier;
    made.scorer = std::make_unique<TierScorer>(
        view_, encoder_, rule,
        tier == Tier::kKnn ? profile_.knn->dtype : std::nullopt, read_,
        positions_);
    RETURN_IF_ERROR(made.scorer->Check());
    made.banks.assign(profile_.kv_heads, attention::SoftmaxAccumulator(
                                             bank_rows_, profile_.value_dim));
    return made;
  }

  // Of a row of a bank, in the softmax that the tier is part of.
  TopK& ItemsOf(Tier tier, uint32_t kv_head, size_t bank_row) {
    return items_[(IsApart(tier) ? profile_.query_heads * read_.rows : 0) +
                  kv_head * bank_rows_ + bank_row];
  }

  absl::Status ReadExact(Tier tier, const PositionRule& rule, SeqRange range) {
    if (range.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(TierRead made, MakeTier(tier, rule));
    bool going = true;
    view_.forgotten->ForEachGap(range, [&](SeqRange live) {
      going = going && ForEachSlice(*view_.rows, live, [&](BlockSlice slice) {
                if (cancelled_()) return false;
                for (uint32_t head = 0; head < profile_.kv_heads; ++head) {
                  AddSlice(slice, head, made);
                }
                return true;
              });
    });
    if (!going) return absl::CancelledError("the caller is gone");
    tiers_.push_back(std::move(made));
    return absl::OkStatus();
  }

  void AddSlice(const BlockSlice& slice, uint32_t kv_head, TierRead& tier) {
    tier.scorer->Score(slice, kv_head, logits_.data());
    for (size_t row = 0; query_.top_items > 0 && row < bank_rows_; ++row) {
      TopK& items = ItemsOf(tier.tier, kv_head, row);
      const float* const logits = logits_.data() + row * slice.count;
      for (size_t i = 0; i < slice.count; ++i) {
        if (logits[i] == -kInfinity) continue;
        items.Offer(logits[i], slice.seq_first + i);
      }
    }
    tier.banks[kv_head].Add(logits_.data(), tier.scorer->Values(slice, kv_head),
                            slice.count);
  }

  absl::Status ReadKnn() {
    const KnnTier& knn = *profile_.knn;
    const uint32_t k = query_.top_k.value_or(knn.top_k);
    // As many keys as asked for, or more than there are: read them all. A
    // landmark's weight is not a token's, however many are read.
    const bool all = k == 0 || k >= ranges_.knn.size();
    if (all && knn.chunk_score != ChunkScore::kLandmark) {
      return ReadExact(Tier::kKnn, knn.positions, ranges_.knn);
    }
    ASSIGN_OR_RETURN(TierRead made, MakeTier(Tier::kKnn, knn.positions));
    if (all) {
      RETURN_IF_ERROR(ReadChunks(made));
    } else {
      RETURN_IF_ERROR(ReadSelected(k, made));
    }
    tiers_.push_back(std::move(made));
    return absl::OkStatus();
  }

  // All chunks of landmarks, some at a time.
  absl::Status ReadChunks(TierRead& tier) {
    const uint64_t step =
        uint64_t{profile_.knn->chunk_tokens} *
        std::max<uint64_t>(1, kGatheredKeys / profile_.knn->chunk_tokens);
    for (uint64_t first = ranges_.knn.begin / step * step;
         first < ranges_.knn.end; first += step) {
      RETURN_IF_ERROR(
          SelectIn(Intersect({first, first + step}, ranges_.knn), step, tier));
    }
    return absl::OkStatus();
  }

  absl::Status ReadSelected(size_t k, TierRead& tier) {
    const uint64_t keys = std::min<uint64_t>(k, ranges_.knn.size());
    if (uint64_t{profile_.query_heads} * read_.rows * keys > kChosenKeysMax) {
      return base::InvalidField(
          "selection.top_k",
          absl::StrCat(keys, " for ", profile_.query_heads * read_.rows,
                       " query rows of a layer"),
          absl::StrCat("at most ", kChosenKeysMax,
                       " keys in all, or exhaustive"));
    }
    return SelectIn(ranges_.knn, k, tier);
  }

  absl::Status SelectIn(SeqRange range, size_t k, TierRead& tier) {
    for (uint32_t head = 0; head < profile_.kv_heads; ++head) {
      ASSIGN_OR_RETURN(const auto chosen, SelectKeys(view_, *tier.scorer, head,
                                                     range, k, cancelled_));
      for (size_t row = 0; row < bank_rows_; ++row) {
        AddChosen(chosen[row], head, row, tier);
      }
    }
    return absl::OkStatus();
  }

  void AddChosen(const std::vector<ScoredSeq>& chosen, uint32_t kv_head,
                 size_t row, TierRead& tier) {
    for (size_t first = 0; first < chosen.size(); first += kGatheredKeys) {
      const size_t end = std::min(first + kGatheredKeys, chosen.size());
      std::vector<float> logits;
      std::vector<uint64_t> seqs;
      for (size_t i = first; i < end; ++i) {
        logits.push_back(chosen[i].logit);
        seqs.push_back(chosen[i].seq);
        ItemsOf(tier.tier, kv_head, row).Offer(chosen[i].logit, chosen[i].seq);
      }
      tier.banks[kv_head].AddRow(
          row, logits.data(), tier.scorer->Values(seqs, kv_head), seqs.size());
    }
  }

  absl::Status Overflow(size_t row, std::string_view what) const {
    return base::Error(
        absl::StatusCode::kOutOfRange,
        absl::StrCat("layer ", read_.layer, ", query head ", row / read_.rows,
                     ", row ", row % read_.rows, ": ", std::string(what)),
        {.reason = "LOGIT_OVERFLOW", .field = "reads.queries"});
  }

  static bool AllFinite(std::span<const float> numbers) {
    return std::all_of(numbers.begin(), numbers.end(),
                       [](float x) { return std::isfinite(x); });
  }

  // What the tiers saw of one bank's rows.
  struct BankParts {
    std::vector<std::vector<float>> outs;   // [tiers][bank_rows, value_dim].
    std::vector<std::vector<double>> lses;  // [tiers][bank_rows].
  };

  absl::StatusOr<BankParts> FinishBank(uint32_t kv_head) const {
    BankParts parts;
    for (const TierRead& tier : tiers_) {
      std::vector<float>& out = parts.outs.emplace_back();
      std::vector<double>& lse = parts.lses.emplace_back(bank_rows_);
      out.resize(bank_rows_ * profile_.value_dim);
      tier.banks[kv_head].Finish(out.data(), lse.data());
      for (size_t r = 0; r < bank_rows_; ++r) {
        const size_t row = kv_head * bank_rows_ + r;
        if (std::isnan(lse[r]) || lse[r] == kInfinity) {
          return Overflow(row,
                          "logits overflow float32; scale queries or keys "
                          "down");
        }
        if (!AllFinite(std::span(out).subspan(r * profile_.value_dim,
                                              profile_.value_dim))) {
          return Overflow(row, "values overflow float32; scale them down");
        }
      }
    }
    return parts;
  }

  // One softmax of all tiers; a gated kNN tier has its own and is mixed in.
  absl::Status MergeTiers(LayerOutput& output) {
    const size_t dim = profile_.value_dim;
    const size_t rows = profile_.query_heads * read_.rows;
    output.output.assign(rows * dim, 0);
    lse_.assign(rows, -kInfinity);
    knn_lse_.assign(rows, -kInfinity);
    shares_.assign(rows, TierShares{});
    for (uint32_t head = 0; head < profile_.kv_heads; ++head) {
      ASSIGN_OR_RETURN(const BankParts bank, FinishBank(head));
      for (size_t r = 0; r < bank_rows_; ++r) {
        MergeRow(bank, r, head * bank_rows_ + r, output);
      }
    }
    output.lse.assign(lse_.begin(), lse_.end());
    return absl::OkStatus();
  }

  void MergeRow(const BankParts& bank, size_t r, size_t row,
                LayerOutput& output) {
    const size_t dim = profile_.value_dim;
    const std::span<float> out =
        std::span(output.output).subspan(row * dim, dim);
    joint_.clear();
    std::span<const float> gated;
    for (size_t t = 0; t < tiers_.size(); ++t) {
      const attention::Partial part{
          std::span(bank.outs[t]).subspan(r * dim, dim), bank.lses[t][r]};
      if (IsApart(tiers_[t].tier)) {
        gated = part.out;
        knn_lse_[row] = part.lse;
      } else {
        joint_.push_back(part);
      }
    }
    lse_[row] = attention::Merge(joint_, out);
    for (size_t t = 0; t < tiers_.size(); ++t) {
      if (lse_[row] == -kInfinity || IsApart(tiers_[t].tier)) continue;
      shares_[row][static_cast<size_t>(tiers_[t].tier)] =
          std::exp(bank.lses[t][r] - lse_[row]);
    }
    if (!knn_is_gated_) return;
    const KnnTier& knn = *profile_.knn;
    Mix(row, Tier::kKnn, GateOf(read_.knn_gates, knn.gate_logits, row),
        knn_lse_[row] == -kInfinity ? std::span<const float>() : gated,
        lse_[row] == -kInfinity, knn.empty_memory, output);
  }

  // The kNN tier has a softmax of its own.
  bool IsApart(Tier tier) const { return knn_is_gated_ && tier == Tier::kKnn; }

  uint32_t HeadOf(size_t row) const {
    return static_cast<uint32_t>(row / read_.rows);
  }

  // The weight on a memory: the caller's, or the profile's.
  float GateOf(const std::vector<float>& given, const GateLogits& logits,
               size_t row) const {
    if (!given.empty()) return given[row];
    return attention::Sigmoid(
        profile_.OfHead(logits, read_.layer, HeadOf(row)));
  }

  // Mixes what `tier` read, nothing when it was empty, into the row.
  void Mix(size_t row, Tier tier, float gate, std::span<const float> memory,
           bool rest_is_empty, attention::EmptyMemory empty,
           LayerOutput& output) {
    if (empty == attention::EmptyMemory::kBypass) {
      if (memory.empty()) return;
      if (rest_is_empty) gate = 1;
    }
    const size_t dim = profile_.value_dim;
    attention::MixByGate(gate, memory.empty() ? nullptr : memory.data(), empty,
                         std::span(output.output).subspan(row * dim, dim));
    output.gated = true;
    for (double& share : shares_[row]) share *= 1.0 - gate;
    if (memory.empty() && rest_is_empty) return;
    shares_[row][static_cast<size_t>(tier)] = rest_is_empty ? 1.0 : gate;
  }

  absl::Status CheckNotBehindState() const {
    if (view_.fold->absorbed_seq == 0) return absl::OkStatus();
    const uint64_t last = view_.fold->absorbed_seq - 1;
    const int64_t absorbed_to = PositionAt(*view_.rows, last);
    for (const int64_t position : positions_) {
      if (position < absorbed_to) {
        return base::InvalidField(
            "reads.positions", absl::StrCat(position),
            absl::StrCat("at least ", absorbed_to,
                         ", up to where compressive memory has absorbed the "
                         "log, or tiers without COMPRESSIVE"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status MixCompressive(LayerOutput& output) {
    RETURN_IF_ERROR(CheckNotBehindState());
    const CompressiveTier& tier = *profile_.compressive;
    std::vector<float> memory(profile_.value_dim);
    for (size_t row = 0; row < profile_.query_heads * read_.rows; ++row) {
      if (cancelled_()) return absl::CancelledError("the caller is gone");
      const size_t bank = size_t{read_.layer} * profile_.kv_heads +
                          HeadOf(row) / profile_.group_size();
      const bool empty = view_.fold->token_count(bank) == 0;
      view_.fold->Read(bank, read_.queries.data() + row * profile_.key_dim,
                       memory.data());
      if (!AllFinite(memory)) {
        return Overflow(row,
                        "the query or the compressive state overflows "
                        "float32; scale queries, keys or values down");
      }
      Mix(row, Tier::kCompressive,
          GateOf(read_.compressive_gates, tier.gate_logits, row),
          empty ? std::span<const float>() : memory,
          lse_[row] == -kInfinity && knn_lse_[row] == -kInfinity,
          tier.empty_memory, output);
    }
    return absl::OkStatus();
  }

  void AverageShares(LayerOutput& output) const {
    for (const TierShares& row : shares_) {
      for (size_t t = 0; t < kTierCount; ++t) {
        output.shares[t] += row[t] / static_cast<double>(shares_.size());
      }
    }
  }

  // What gates leave to one of the softmaxes.
  double WeightOf(size_t row, bool apart) const {
    const TierShares& shares = shares_[row];
    const double knn = shares[static_cast<size_t>(Tier::kKnn)];
    if (apart) return knn;
    return shares[static_cast<size_t>(Tier::kSink)] +
           shares[static_cast<size_t>(Tier::kWindow)] +
           (knn_is_gated_ ? 0 : knn);
  }

  void ReportItems(LayerOutput& output) const {
    const size_t rows = profile_.query_heads * read_.rows;
    for (size_t row = 0; row < rows; ++row) {
      std::vector<AttendedItem> items;
      for (const bool apart : {false, true}) {
        if (apart && !knn_is_gated_) break;
        const double lse = apart ? knn_lse_[row] : lse_[row];
        const double weight = WeightOf(row, apart);
        for (const ScoredSeq& item : items_[apart * rows + row].Sorted()) {
          items.push_back(
              {.head = HeadOf(row),
               .row = static_cast<uint32_t>(row % read_.rows),
               .seq = item.seq,
               .position = PositionAt(*view_.rows, item.seq),
               .logit = item.logit,
               .share = std::min(1.0, weight * std::exp(item.logit - lse)),
               .tier = *TierOf(ranges_, item.seq)});
        }
      }
      // Each softmax has its items in order; two of them are merged.
      std::stable_sort(
          items.begin(), items.end(),
          [](const auto& a, const auto& b) { return a.share > b.share; });
      items.resize(std::min<size_t>(items.size(), query_.top_items));
      output.items.insert(output.items.end(), items.begin(), items.end());
    }
  }

  const LogView& view_;
  const Profile& profile_;
  const attention::PositionEncoder& encoder_;
  const AttendQuery& query_;
  const LayerRead& read_;
  const Cancelled& cancelled_;
  std::vector<int64_t> positions_;  // [rows].
  const size_t bank_rows_;          // Query rows that share a bank.
  const TierRanges ranges_;
  bool knn_is_gated_ = false;
  std::vector<TierRead> tiers_;
  // [query_heads, rows] of the joint softmax, then of a gated kNN tier's.
  std::vector<TopK> items_;
  std::vector<attention::Partial> joint_;  // Of the row at hand.
  std::vector<TierShares> shares_;         // [query_heads, rows].
  std::vector<double> lse_;      // [query_heads, rows] of the joint softmax.
  std::vector<double> knn_lse_;  // [query_heads, rows], when gated.
  std::vector<float> logits_;    // [bank_rows, kBlockTokens].
};

absl::Status CheckTier(const Profile& profile, Tier tier) {
  const bool known =
      tier == Tier::kSink
          ? profile.sink.has_value()
          : (tier == Tier::kWindow && profile.window) ||
                (tier == Tier::kKnn && profile.knn) ||
                (tier == Tier::kCompressive && profile.compressive);
  constexpr std::array<std::string_view, kTierCount> kNames = {
      "SINK", "WINDOW", "KNN", "COMPRESSIVE"};
  if (known) return absl::OkStatus();
  return base::InvalidField("tiers", kNames[static_cast<size_t>(tier)],
                            "tiers that the session's profile has");
}

absl::Status CheckGates(const Profile& profile, const LayerRead& read,
                        std::string_view field, const std::vector<float>& gates,
                        bool has_gate) {
  if (gates.empty()) return absl::OkStatus();
  if (!has_gate) {
    return base::InvalidField(field, "weights for a tier without a gate",
                              "none: the profile's tier has no gate_logits");
  }
  if (gates.size() != size_t{profile.query_heads} * read.rows) {
    return base::InvalidField(
        field, absl::StrCat(gates.size(), " numbers"),
        absl::StrCat("[", profile.query_heads, ", ", read.rows,
                     "], query heads and rows"));
  }
  for (const float gate : gates) {
    if (!(gate >= 0 && gate <= 1)) {
      return base::InvalidField(field, absl::StrCat(gate), "0 to 1");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRead(const Profile& profile, const LayerRead& read) {
  if (read.layer >= profile.layers) {
    return base::InvalidField("reads.layer", absl::StrCat(read.layer),
                              absl::StrCat("0 to ", profile.layers - 1));
  }
  if (uint64_t{profile.query_heads} * read.rows > kQueryRowsMax) {
    return base::InvalidField(
        "reads.queries", absl::StrCat(read.rows, " rows"),
        absl::StrCat("at most ", kQueryRowsMax / profile.query_heads));
  }
  const size_t expected =
      size_t{profile.query_heads} * read.rows * profile.key_dim;
  if (read.rows == 0 || read.queries.size() != expected) {
    return base::InvalidField(
        "reads.queries",
        absl::StrCat(read.queries.size(), " numbers in ", read.rows, " rows"),
        absl::StrCat("[", profile.query_heads, ", rows, ", profile.key_dim,
                     "] with at least one row"));
  }
  if (!read.positions.empty() && read.positions.size() != read.rows) {
    return base::InvalidField(
        "reads.positions", absl::StrCat(read.positions.size(), " positions"),
        absl::StrCat("none, or one for each of ", read.rows, " rows"));
  }
  for (const int64_t position : read.positions) {
    if (position < 0 || position > kPositionMax) {
      return base::InvalidField("reads.positions", absl::StrCat(position),
                                absl::StrCat("0 to 2^53"));
    }
  }
  RETURN_IF_ERROR(CheckGates(profile, read, "reads.knn_gates", read.knn_gates,
                             profile.knn && !profile.knn->gate_logits.empty()));
  return CheckGates(profile, read, "reads.compressive_gates",
                    read.compressive_gates, profile.compressive.has_value());
}

}  // namespace

absl::Status CheckAttendQuery(const Profile& profile,
                              const AttendQuery& query) {
  if (query.reads.empty()) {
    return base::InvalidField("reads", "none", "at least one");
  }
  for (const LayerRead& read : query.reads) {
    RETURN_IF_ERROR(CheckRead(profile, read));
  }
  for (const Tier tier : query.tiers) RETURN_IF_ERROR(CheckTier(profile, tier));
  if (query.top_k.value_or(0) > kTopKMax) {
    return base::InvalidField(
        "selection.top_k", absl::StrCat(*query.top_k),
        absl::StrCat("1 to ", kTopKMax, ", or exhaustive"));
  }
  if (profile.knn && query.top_k &&
      *query.top_k % profile.knn->chunk_tokens != 0) {
    return base::InvalidField(
        "selection.top_k", absl::StrCat(*query.top_k),
        absl::StrCat("a multiple of the profile's chunk_tokens, which is ",
                     profile.knn->chunk_tokens));
  }
  if (query.top_items > kTopItemsMax) {
    return base::InvalidField("top_items", absl::StrCat(query.top_items),
                              absl::StrCat("0 to ", kTopItemsMax));
  }
  return absl::OkStatus();
}

absl::StatusOr<AttendResult> AttendOver(
    const LogView& view, const attention::PositionEncoder& encoder,
    const AttendQuery& query, const Cancelled& cancelled) {
  AttendResult result;
  result.seq_next = view.seq_next;
  for (const LayerRead& read : query.reads) {
    LayerReader reader(view, encoder, query, read, cancelled);
    ASSIGN_OR_RETURN(LayerOutput output, reader.Run());
    result.outputs.push_back(std::move(output));
  }
  return result;
}

}  // namespace mneme::memory
