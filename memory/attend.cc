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
constexpr uint64_t kChosenKeysMax = 1 << 24;

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
    items_.assign(2 * profile_.query_heads * read.rows, TopK(query.top_items));
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
    const bool apart = knn_is_gated_ && tier == Tier::kKnn;
    return items_[(apart ? profile_.query_heads * read_.rows : 0) +
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
    // Forgotten tokens and a quota may leave chunks at the ends unfinished.
    return ReadSelected(all ? ranges_.knn.size() + 2 * size_t{knn.chunk_tokens}
                            : k);
  }

  absl::Status ReadSelected(size_t k) {
    const uint64_t keys = std::min<uint64_t>(k, ranges_.knn.size());
    if (uint64_t{profile_.query_heads} * read_.rows * keys > kChosenKeysMax) {
      return base::InvalidField(
          "selection.top_k",
          absl::StrCat(keys, " for ", profile_.query_heads * read_.rows,
                       " query rows of a layer"),
          absl::StrCat("at most ", kChosenKeysMax,
                       " keys in all, or exhaustive"));
    }
    ASSIGN_OR_RETURN(TierRead made,
                     MakeTier(Tier::kKnn, profile_.knn->positions));
    for (uint32_t head = 0; head < profile_.kv_heads; ++head) {
      ASSIGN_OR_RETURN(
          const auto chosen,
          SelectKeys(view_, *made.scorer, head, ranges_.knn, k, cancelled_));
      for (size_t row = 0; row < bank_rows_; ++row) {
        AddChosen(chosen[row], head, row, made);
      }
    }
    tiers_.push_back(std::move(made));
    return absl::OkStatus();
  }

  void AddChosen(const std::vector<ScoredSeq>& chosen, uint32_t kv_head,
                 size_t row, TierRead& tier) {
    std::vector<float> logits;
    std::vector<uint64_t> seqs;
    for (const ScoredSeq& key : chosen) {
      logits.push_back(key.logit);
      seqs.push_back(key.seq);
      ItemsOf(tier.tier, kv_head, row).Offer(key.logit, key.seq);
    }
    if (seqs.empty()) return;
    tier.banks[kv_head].AddRow(row, logits.data(),
                               tier.scorer->Values(seqs, kv_head), seqs.size());
  }

  absl::Status Overflow(size_t row) const {
    return base::Error(
        absl::StatusCode::kOutOfRange,
        absl::StrCat("layer ", read_.layer, ", query head ", row / read_.rows,
                     ", row ", row % read_.rows,
                     ": logits overflow float32; scale queries or keys down"),
        {.reason = "LOGIT_OVERFLOW", .field = "reads.queries"});
  }

  // One softmax of all tiers; a gated kNN tier has its own and is mixed in.
  absl::Status MergeTiers(LayerOutput& output) {
    const size_t dim = profile_.value_dim;
    const size_t rows = profile_.query_heads * read_.rows;
    output.output.assign(rows * dim, 0);
    output.lse.assign(rows, -kInfinity);
    shares_.assign(rows, TierShares{});
    if (knn_is_gated_) knn_lse_.assign(rows, -kInfinity);
    std::vector<std::vector<float>> outs(tiers_.size());
    std::vector<std::vector<float>> lses(tiers_.size());
    for (size_t t = 0; t < tiers_.size(); ++t) {
      outs[t].resize(bank_rows_ * dim);
      lses[t].resize(bank_rows_);
    }
    std::vector<attention::Partial> parts;
    for (uint32_t head = 0; head < profile_.kv_heads; ++head) {
      for (size_t t = 0; t < tiers_.size(); ++t) {
        tiers_[t].banks[head].Finish(outs[t].data(), lses[t].data());
      }
      for (size_t r = 0; r < bank_rows_; ++r) {
        const size_t row = head * bank_rows_ + r;
        const std::span<float> out =
            std::span(output.output).subspan(row * dim, dim);
        parts.clear();
        std::span<const float> gated;
        for (size_t t = 0; t < tiers_.size(); ++t) {
          if (std::isnan(lses[t][r]) || lses[t][r] == kInfinity) {
            return Overflow(row);
          }
          const attention::Partial part{
              std::span(outs[t]).subspan(r * dim, dim), lses[t][r]};
          if (knn_is_gated_ && tiers_[t].tier == Tier::kKnn) {
            gated = part.out;
            knn_lse_[row] = part.lse;
          } else {
            parts.push_back(part);
          }
        }
        output.lse[row] = attention::Merge(parts, out);
        for (size_t t = 0; t < tiers_.size(); ++t) {
          if (output.lse[row] == -kInfinity ||
              (knn_is_gated_ && tiers_[t].tier == Tier::kKnn)) {
            continue;
          }
          shares_[row][static_cast<size_t>(tiers_[t].tier)] =
              std::exp(double{lses[t][r]} - output.lse[row]);
        }
        if (knn_is_gated_) MixKnn(row, gated, out, output);
      }
    }
    return absl::OkStatus();
  }

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

  void MixKnn(size_t row, std::span<const float> memory, std::span<float> out,
              LayerOutput& output) {
    const bool empty = knn_lse_[row] == -kInfinity;
    if (empty &&
        profile_.knn->empty_memory == attention::EmptyMemory::kBypass) {
      return;
    }
    const float gate = GateOf(read_.knn_gates, profile_.knn->gate_logits, row);
    attention::MixByGate(gate, empty ? nullptr : memory.data(),
                         profile_.knn->empty_memory, out);
    Weigh(row, Tier::kKnn, gate, output.lse[row] == -kInfinity, output);
  }

  // A gate gave `tier` its weight; what was empty before it weighs nothing.
  void Weigh(size_t row, Tier tier, float gate, bool was_empty,
             LayerOutput& output) {
    output.gated = true;
    for (double& share : shares_[row]) share *= 1.0 - gate;
    shares_[row][static_cast<size_t>(tier)] = was_empty ? 1.0 : gate;
  }

  absl::Status CheckNotBehindState() const {
    if (view_.fold->absorbed_seq == 0) return absl::OkStatus();
    const uint64_t last = view_.fold->absorbed_seq - 1;
    const int64_t absorbed_to =
        (*view_.rows)[last / kBlockTokens]->positions()[last % kBlockTokens];
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
      const size_t bank = size_t{read_.layer} * profile_.kv_heads +
                          HeadOf(row) / profile_.group_size();
      const bool empty = view_.fold->token_count(bank) == 0;
      if (empty && tier.empty_memory == attention::EmptyMemory::kBypass) {
        continue;
      }
      view_.fold->Read(bank, read_.queries.data() + row * profile_.key_dim,
                       memory.data());
      if (!std::all_of(memory.begin(), memory.end(),
                       [](float x) { return std::isfinite(x); })) {
        return Overflow(row);
      }
      const float gate = GateOf(read_.compressive_gates, tier.gate_logits, row);
      attention::MixByGate(
          gate, empty ? nullptr : memory.data(), tier.empty_memory,
          std::span(output.output)
              .subspan(row * profile_.value_dim, profile_.value_dim));
      const bool was_empty = output.lse[row] == -kInfinity &&
                             (!knn_is_gated_ || knn_lse_[row] == -kInfinity);
      Weigh(row, Tier::kCompressive, gate, was_empty, output);
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

  void ReportItems(LayerOutput& output) const {
    const size_t rows = profile_.query_heads * read_.rows;
    for (size_t row = 0; row < rows; ++row) {
      std::vector<AttendedItem> items;
      for (const bool apart : {false, true}) {
        if (apart && !knn_is_gated_) break;
        const double lse = apart ? knn_lse_[row] : output.lse[row];
        for (const ScoredSeq& item : items_[apart * rows + row].Sorted()) {
          const RowBlock& block = *(*view_.rows)[item.seq / kBlockTokens];
          items.push_back(
              {.head = HeadOf(row),
               .row = static_cast<uint32_t>(row % read_.rows),
               .seq = item.seq,
               .position = block.positions()[item.seq % kBlockTokens],
               .logit = item.logit,
               .share = std::exp(double{item.logit} - lse),
               .tier = TierOf(ranges_, item.seq)});
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
  std::vector<TierShares> shares_;  // [query_heads, rows].
  std::vector<float> knn_lse_;      // [query_heads, rows], when gated.
  std::vector<float> logits_;       // [bank_rows, kBlockTokens].
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
