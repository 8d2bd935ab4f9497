// memory/tier_scorer.h: the logits of one tier of one layer.
// s = cap(tau <R_a N(q), R_b N(k)> m^2) + bias(t, p), where the tier's position
// rule gives the angles a and b; tau is the profile's logit scale times the
// head's, m the attention factor of YaRN, and the bias ALiBi's or a learned
// one.

#ifndef MNEME_MEMORY_TIER_SCORER_H_
#define MNEME_MEMORY_TIER_SCORER_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "attention/alibi.h"
#include "attention/position.h"
#include "attention/relative_bias.h"
#include "memory/cache_ranks.h"
#include "memory/key_reader.h"
#include "memory/types.h"
#include "memory/view.h"

namespace mneme::memory {

// Keys that are gathered at once.
inline constexpr size_t kGatheredKeys = 1024;

// Query rows of a bank are [group_size, rows] of its heads. A logit is
// bit-equal in every form below. It depends on its query and key, and, for
// families that follow the length and for xPos's centre, on the positions of
// the whole read. Threads: one at a time.
class TierScorer {
 public:
  // Lifetime: borrows all but the positions. `encoder` is that of short
  // sequences. REQUIRES: positions.size() == read.rows.
  TierScorer(const LogView& view, const attention::PositionEncoder& encoder,
             const PositionRule& rule, std::optional<attention::DType> dtype,
             const LayerRead& read, std::vector<int64_t> positions);
  TierScorer(const TierScorer&) = delete;
  TierScorer& operator=(const TierScorer&) = delete;

  // Whether queries can be formed. Errors: INVALID_ARGUMENT for rows that stand
  // too far apart for xPos's magnitudes.
  absl::Status Check() const;

  size_t bank_rows() const { return bank_rows_; }
  size_t BankOf(uint32_t kv_head) const {
    return size_t{read_.layer} * profile_.kv_heads + kv_head;
  }
  int64_t PositionOf(size_t bank_row) const {
    return positions_[bank_row % read_.rows];
  }

  // Logits of consecutive keys, -infinity where a row does not see one: behind
  // the row, or a landmark. One that is no number counts as +infinity.
  // Shapes: logits [bank_rows, slice.count].
  void Score(const BlockSlice& slice, uint32_t kv_head, float* logits);

  // Logits of scattered keys for one row, or for all; the caller knows that
  // they are seen. Shapes: logits [seqs] or [bank_rows, seqs].
  void ScoreTokens(std::span<const uint64_t> seqs, uint32_t kv_head,
                   size_t bank_row, float* logits);
  void ScoreTokens(std::span<const uint64_t> seqs, uint32_t kv_head,
                   float* logits);

  // Logits of means of keys, each as if it stood at a position.
  // Keys are averaged in the form that MeanForm has.
  // Shapes: means [positions.size(), key_dim]; logits [bank_rows, means].
  void ScoreMeans(const float* means, std::span<const int64_t> positions,
                  uint32_t kv_head, float* logits) const;
  KeyForm MeanForm() const;
  // Of the sequence's length.
  const attention::PositionEncoder& encoder() const { return encoder_; }

  // Values of consecutive or scattered keys, valid until the next call.
  const float* Values(const BlockSlice& slice, uint32_t kv_head) {
    return near_.Values(slice, BankOf(kv_head));
  }
  const float* Values(std::span<const uint64_t> seqs, uint32_t kv_head) {
    return near_.Values(*view_.rows, seqs, BankOf(kv_head));
  }

  // Prepared queries of a bank, [bank_rows, key_dim]: their products with keys
  // are logits where nothing is capped, clamped or biased.
  const float* Queries(uint32_t kv_head) const {
    return near_queries_.data() + kv_head * bank_rows_ * profile_.key_dim;
  }

 private:
  bool clamps() const { return rule_.policy == PositionPolicy::kClamp; }
  bool has_bias() const { return alibi_ || relative_; }
  int64_t LengthOf() const;
  std::vector<int64_t> QueryAngles() const;
  int64_t LocalOrigin() const;
  std::vector<float> Prepared(std::span<const int64_t> angles,
                              int64_t center) const;
  int HeadOf(uint32_t kv_head, size_t bank_row) const {
    return static_cast<int>((kv_head * bank_rows_ + bank_row) / read_.rows);
  }
  // Products of rows [row_first, + row_count) with keys at `positions`, which
  // ascend.
  void Dot(const float* near_keys, const float* far_keys,
           std::span<const int64_t> positions, uint32_t kv_head,
           size_t row_first, size_t row_count, float* logits) const;
  void AddBias(std::span<const int64_t> positions,
               std::span<const int64_t> angles, uint32_t kv_head,
               size_t row_first, size_t row_count, float* logits) const;
  void Finish(std::span<const int64_t> positions,
              std::span<const int64_t> angles, uint32_t kv_head,
              size_t row_first, size_t row_count, float* logits) const;
  void ScoreScattered(std::span<const uint64_t> seqs, uint32_t kv_head,
                      size_t row_first, size_t row_count, float* logits);

  const LogView& view_;
  const Profile& profile_;
  const PositionRule rule_;
  const LayerRead& read_;
  const std::vector<int64_t> positions_;  // [rows].
  const size_t bank_rows_;                // Query rows that share a bank.
  const CacheRanks ranks_;
  const std::vector<int64_t> query_angles_;  // [rows].
  const attention::PositionEncoder encoder_;
  const std::optional<attention::AlibiBias> alibi_;
  const std::optional<attention::RelativeBias> relative_;
  // [query_heads, rows, key_dim]; those of far keys only where CLAMP has some.
  const std::vector<float> near_queries_;
  const std::vector<float> far_queries_;
  KeyReader near_;
  KeyReader far_;
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_TIER_SCORER_H_
