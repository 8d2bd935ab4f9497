#include "memory/attend.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "absl/strings/str_cat.h"
#include "attention/alibi.h"
#include "attention/compressive.h"
#include "attention/dtype.h"
#include "attention/gate.h"
#include "attention/kernels.h"
#include "attention/partial.h"
#include "attention/softmax.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "memory/key_reader.h"
#include "memory/knn_search.h"
#include "memory/top_k.h"

namespace mneme::memory {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Only a guard: an empty state is a flag, and phi is positive.
constexpr float kDenominatorFloor = 1e-10F;

// Keys that one read of a layer may hold at once while it chooses.
constexpr uint64_t kChosenKeysMax = 1 << 24;

bool Has(const AttendQuery& query, Tier tier) {
  return query.tiers.empty() ||
         std::find(query.tiers.begin(), query.tiers.end(), tier) !=
             query.tiers.end();
}

// max(position) + 1 of everything that the read looks at.
int64_t LengthOf(const LogView& view, const LayerRead& read) {
  int64_t length = view.position_next + (read.positions.empty() ? 1 : 0);
  for (const int64_t position : read.positions) {
    length = std::max(length, position + 1);
  }
  return std::max<int64_t>(length, 1);
}

// One softmax tier of one layer, of every bank.
struct TierRead {
  Tier tier;
  PositionPolicy policy = PositionPolicy::kAbsolute;
  std::vector<float> queries;                        // Prepared.
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
        encoder_(encoder.ForLength(LengthOf(view, read))),
        alibi_(BiasFor(*view.profile)),
        query_(query),
        read_(read),
        cancelled_(cancelled),
        positions_(read.positions),
        bank_rows_(profile_.group_size() * read.rows),
        reader_(profile_, encoder_) {
    if (positions_.empty()) {
      positions_.assign(read.rows, std::min(view.position_next, kPositionMax));
    }
    items_.assign(profile_.query_heads * read.rows, TopK(query.top_items));
    item_tiers_ = view.ranges();
    logits_.resize(bank_rows_ * kBlockTokens);
  }

  absl::StatusOr<LayerOutput> Run() {
    const TierRanges ranges = view_.ranges();
    if (Has(query_, Tier::kSink)) {
      RETURN_IF_ERROR(
          ReadExact(Tier::kSink, PositionPolicy::kAbsolute, ranges.sink));
    }
    if (Has(query_, Tier::kKnn) && profile_.knn) {
      const uint32_t k = query_.top_k.value_or(profile_.knn->top_k);
      // As many keys as asked for, or more than there are: read them all.
      const bool all = k == 0 || k >= ranges.knn.size();
      RETURN_IF_ERROR(
          all ? ReadExact(Tier::kKnn, profile_.knn->policy, ranges.knn)
              : ReadTopK(ranges.knn, k));
    }
    if (Has(query_, Tier::kWindow) && profile_.window) {
      RETURN_IF_ERROR(
          ReadExact(Tier::kWindow, PositionPolicy::kAbsolute, ranges.window));
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
  TierRead MakeTier(Tier tier, PositionPolicy policy) const {
    TierRead made;
    made.tier = tier;
    made.policy = policy;
    made.queries = read_.queries;
    PrepareQueries(profile_, encoder_, policy,
                   profile_.knn ? profile_.knn->distance : 0, positions_,
                   made.queries);
    made.banks.assign(profile_.kv_heads, attention::SoftmaxAccumulator(
                                             bank_rows_, profile_.value_dim));
    return made;
  }

  size_t BankOf(uint32_t kv_head) const {
    return size_t{read_.layer} * profile_.kv_heads + kv_head;
  }

  int HeadOf(uint32_t kv_head, size_t bank_row) const {
    return static_cast<int>((kv_head * bank_rows_ + bank_row) / read_.rows);
  }

  absl::Status ReadExact(Tier tier, PositionPolicy policy, SeqRange range) {
    if (range.empty()) return absl::OkStatus();
    TierRead made = MakeTier(tier, policy);
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
    const size_t bank = BankOf(kv_head);
    const float* keys = reader_.Keys(slice, bank, tier.policy);
    const float* queries =
        tier.queries.data() + kv_head * bank_rows_ * profile_.key_dim;
    attention::DotRows(queries, bank_rows_, keys, slice.count, profile_.key_dim,
                       logits_.data());
    const auto positions =
        slice.block->positions().subspan(slice.first, slice.count);
    for (size_t row = 0; row < bank_rows_; ++row) {
      float* logits = logits_.data() + row * slice.count;
      if (alibi_ && tier.policy == PositionPolicy::kAbsolute) {
        alibi_->AddTo(HeadOf(kv_head, row), positions_[row % read_.rows],
                      positions, logits);
      }
      const size_t visible = VisibleCount(slice, positions_[row % read_.rows]);
      // Infinity less infinity is no number; as an infinity it reaches the lse.
      for (size_t i = 0; i < visible; ++i) {
        if (std::isnan(logits[i])) logits[i] = kInfinity;
      }
      std::fill(logits + visible, logits + slice.count, -kInfinity);
      if (query_.top_items == 0) continue;
      TopK& items = items_[kv_head * bank_rows_ + row];
      for (size_t i = 0; i < visible; ++i) {
        items.Offer(logits[i], slice.seq_first + i);
      }
    }
    tier.banks[kv_head].Add(logits_.data(), reader_.Values(slice, bank),
                            slice.count);
  }

  absl::Status ReadTopK(SeqRange range, size_t k) {
    const uint64_t chosen_keys =
        uint64_t{profile_.query_heads} * read_.rows * k;
    if (chosen_keys > kChosenKeysMax) {
      return base::InvalidField(
          "selection.top_k",
          absl::StrCat(k, " for ", profile_.query_heads * read_.rows,
                       " query rows of a layer"),
          absl::StrCat("at most ", kChosenKeysMax,
                       " keys in all, or exhaustive"));
    }
    TierRead made = MakeTier(Tier::kKnn, profile_.knn->policy);
    for (uint32_t head = 0; head < profile_.kv_heads; ++head) {
      const BankQueries rows{
          .queries = made.queries.data() + head * bank_rows_ * profile_.key_dim,
          .heads = profile_.group_size(),
          .head_first = size_t{head} * profile_.group_size(),
          .positions = positions_,
          .alibi = alibi_ ? &*alibi_ : nullptr};
      ASSIGN_OR_RETURN(auto chosen,
                       SearchTopK(view_, encoder_, made.policy, BankOf(head),
                                  range, k, rows, cancelled_));
      for (size_t row = 0; row < bank_rows_; ++row) {
        AddChosen(chosen[row], head, row, made);
      }
    }
    tiers_.push_back(std::move(made));
    return absl::OkStatus();
  }

  void AddChosen(std::vector<ScoredSeq>& chosen, uint32_t kv_head, size_t row,
                 TierRead& tier) {
    if (query_.top_items > 0) {
      TopK& items = items_[kv_head * bank_rows_ + row];
      for (const ScoredSeq& item : chosen) items.Offer(item.logit, item.seq);
    }
    // In the order of the log, so that sums do not depend on the search.
    std::sort(
        chosen.begin(), chosen.end(),
        [](const ScoredSeq& a, const ScoredSeq& b) { return a.seq < b.seq; });
    const size_t bank = BankOf(kv_head);
    std::vector<float> logits(chosen.size());
    std::vector<float> values(chosen.size() * profile_.value_dim);
    for (size_t i = 0; i < chosen.size(); ++i) {
      const RowBlock& block = *(*view_.rows)[chosen[i].seq / kBlockTokens];
      logits[i] = chosen[i].logit;
      attention::ToFloat(profile_.dtype,
                         block.values(bank) + chosen[i].seq % kBlockTokens *
                                                  profile_.value_bytes(),
                         profile_.value_dim,
                         values.data() + i * profile_.value_dim);
    }
    tier.banks[kv_head].AddRow(row, logits.data(), values.data(),
                               chosen.size());
  }

  absl::Status Overflow(size_t row) const {
    return base::Error(
        absl::StatusCode::kOutOfRange,
        absl::StrCat("layer ", read_.layer, ", query head ", row / read_.rows,
                     ", row ", row % read_.rows,
                     ": logits overflow float32; scale queries or keys down"),
        {.reason = "LOGIT_OVERFLOW", .field = "reads.queries"});
  }

  absl::Status MergeTiers(LayerOutput& output) {
    const size_t dim = profile_.value_dim;
    const size_t rows = profile_.query_heads * read_.rows;
    output.output.assign(rows * dim, 0);
    output.lse.assign(rows, -kInfinity);
    shares_.assign(rows, TierShares{});
    std::vector<std::vector<float>> outs(tiers_.size());
    std::vector<std::vector<float>> lses(tiers_.size());
    for (size_t t = 0; t < tiers_.size(); ++t) {
      outs[t].resize(bank_rows_ * dim);
      lses[t].resize(bank_rows_);
    }
    std::vector<attention::Partial> parts(tiers_.size());
    for (uint32_t head = 0; head < profile_.kv_heads; ++head) {
      for (size_t t = 0; t < tiers_.size(); ++t) {
        tiers_[t].banks[head].Finish(outs[t].data(), lses[t].data());
      }
      for (size_t r = 0; r < bank_rows_; ++r) {
        const size_t row = head * bank_rows_ + r;
        for (size_t t = 0; t < tiers_.size(); ++t) {
          parts[t] = {std::span(outs[t]).subspan(r * dim, dim), lses[t][r]};
          if (std::isnan(lses[t][r]) || lses[t][r] == kInfinity) {
            return Overflow(row);
          }
        }
        output.lse[row] = attention::Merge(
            parts, std::span(output.output).subspan(row * dim, dim));
        if (output.lse[row] == -kInfinity) continue;
        for (size_t t = 0; t < tiers_.size(); ++t) {
          shares_[row][static_cast<size_t>(tiers_[t].tier)] =
              std::exp(double{lses[t][r]} - output.lse[row]);
        }
      }
    }
    return absl::OkStatus();
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
    std::vector<float> memory(profile_.value_dim);
    for (uint32_t head = 0; head < profile_.query_heads; ++head) {
      const attention::CompressiveState& state =
          view_.fold->banks[BankOf(head / profile_.group_size())];
      const bool empty = state.token_count == 0;
      if (empty && profile_.compressive->empty_memory ==
                       attention::EmptyMemory::kBypass) {
        continue;
      }
      const float gate = profile_.Gate(read_.layer, head);
      for (size_t r = 0; r < read_.rows; ++r) {
        const size_t row = head * read_.rows + r;
        attention::Read(state, read_.queries.data() + row * profile_.key_dim,
                        kDenominatorFloor, memory.data());
        if (!std::all_of(memory.begin(), memory.end(),
                         [](float x) { return std::isfinite(x); })) {
          return Overflow(row);
        }
        attention::MixByGate(
            gate, empty ? nullptr : memory.data(),
            profile_.compressive->empty_memory,
            std::span(output.output)
                .subspan(row * profile_.value_dim, profile_.value_dim));
        output.gated = true;
        for (double& share : shares_[row]) share *= 1.0 - gate;
        shares_[row][static_cast<size_t>(Tier::kCompressive)] =
            output.lse[row] == -kInfinity ? 1.0 : gate;
      }
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
    for (size_t row = 0; row < items_.size(); ++row) {
      for (const ScoredSeq& item : items_[row].Sorted()) {
        const RowBlock& block = *(*view_.rows)[item.seq / kBlockTokens];
        output.items.push_back(
            {.head = static_cast<uint32_t>(row / read_.rows),
             .row = static_cast<uint32_t>(row % read_.rows),
             .seq = item.seq,
             .position = block.positions()[item.seq % kBlockTokens],
             .logit = item.logit,
             .share = std::exp(double{item.logit} - output.lse[row]),
             .tier = TierOf(item_tiers_, item.seq)});
      }
    }
  }

  const LogView& view_;
  const Profile& profile_;
  const attention::PositionEncoder encoder_;  // Of the sequence's length.
  const std::optional<attention::AlibiBias> alibi_;
  const AttendQuery& query_;
  const LayerRead& read_;
  const Cancelled& cancelled_;
  std::vector<int64_t> positions_;  // [rows].
  const size_t bank_rows_;          // Query rows that share a bank.
  KeyReader reader_;
  TierRanges item_tiers_;
  std::vector<TierRead> tiers_;
  std::vector<TopK> items_;         // [query_heads, rows].
  std::vector<TierShares> shares_;  // [query_heads, rows].
  std::vector<float> logits_;       // [bank_rows, kBlockTokens].
};

absl::Status CheckTier(const Profile& profile, Tier tier) {
  const bool known =
      tier == Tier::kSink
          ? profile.sink_tokens > 0
          : (tier == Tier::kWindow && profile.window) ||
                (tier == Tier::kKnn && profile.knn) ||
                (tier == Tier::kCompressive && profile.compressive);
  constexpr std::array<std::string_view, kTierCount> kNames = {
      "SINK", "WINDOW", "KNN", "COMPRESSIVE"};
  if (known) return absl::OkStatus();
  return base::InvalidField("tiers", kNames[static_cast<size_t>(tier)],
                            "tiers that the session's profile has");
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
  return absl::OkStatus();
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
