#include "memory/tier_scorer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "attention/kernels.h"
#include "attention/softcap.h"
#include "attention/xpos.h"
#include "base/error.h"

namespace mneme::memory {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::optional<attention::AlibiBias> AlibiOf(const Profile& profile,
                                            const PositionRule& rule) {
  if (profile.position.family != attention::PositionFamily::kAlibi ||
      !KeepsDistances(rule.policy)) {
    return std::nullopt;
  }
  return attention::AlibiBias(profile.position.alibi,
                              static_cast<int>(profile.query_heads));
}

std::optional<attention::RelativeBias> RelativeOf(const Profile& profile,
                                                  const PositionRule& rule) {
  if (profile.position.family != attention::PositionFamily::kRelativeBias ||
      !KeepsDistances(rule.policy)) {
    return std::nullopt;
  }
  return attention::RelativeBias(profile.position.relative_bias,
                                 static_cast<int>(profile.query_heads));
}

int64_t Largest(std::span<const int64_t> numbers) {
  return *std::max_element(numbers.begin(), numbers.end());
}

KeyForm WithCenter(KeyForm form, const CacheRanks* ranks, int64_t center) {
  form.ranks = ranks;
  form.center = center;
  return form;
}

}  // namespace

TierScorer::TierScorer(const LogView& view,
                       const attention::PositionEncoder& encoder,
                       const PositionRule& rule,
                       std::optional<attention::DType> dtype,
                       const LayerRead& read, std::vector<int64_t> positions)
    : view_(view),
      profile_(*view.profile),
      rule_(rule),
      read_(read),
      positions_(std::move(positions)),
      bank_rows_(profile_.group_size() * read.rows),
      ranks_(view.ranges(), *view.forgotten, *view.rows, view.position_next),
      query_angles_(QueryAngles()),
      encoder_(encoder.ForLength(LengthOf())),
      alibi_(AlibiOf(profile_, rule)),
      relative_(RelativeOf(profile_, rule)),
      near_queries_(Prepared(query_angles_, KeepsDistances(rule.policy)
                                                ? Largest(query_angles_)
                                                : 0)),
      far_queries_(clamps() ? Prepared(std::vector<int64_t>(positions_.size(),
                                                            rule.distance),
                                       0)
                            : std::vector<float>()),
      near_(profile_, encoder_,
            WithCenter(
                FormOf(rule, dtype),
                rule.policy == PositionPolicy::kCacheRank ? &ranks_ : nullptr,
                KeepsDistances(rule.policy) ? Largest(query_angles_) : 0)),
      far_(profile_, encoder_, {.rotated = false, .rounded = dtype}) {}

absl::Status TierScorer::Check() const {
  if (!encoder_.has_magnitude() || !KeepsDistances(rule_.policy)) {
    return absl::OkStatus();
  }
  const auto [least, most] =
      std::minmax_element(positions_.begin(), positions_.end());
  const int64_t span = attention::XposSafeSpan(profile_.position.xpos);
  if (*most - *least <= span) return absl::OkStatus();
  return base::InvalidField(
      "reads.positions", absl::StrCat(*least, " and ", *most),
      absl::StrCat("rows within ", span, " positions, with XPOS"));
}

// max(position) + 1 of everything that the read looks at.
int64_t TierScorer::LengthOf() const {
  int64_t length = 1;
  if (rule_.policy != PositionPolicy::kCacheRank) {
    length = std::max(length, view_.position_next);
  }
  return std::max(
      length, Largest(rule_.policy == PositionPolicy::kCacheRank ? query_angles_
                                                                 : positions_) +
                  1);
}

int64_t TierScorer::LocalOrigin() const {
  const SeqRange window = view_.ranges().window;
  int64_t origin = view_.position_next;
  bool found = false;
  view_.forgotten->ForEachGap(window, [&](SeqRange live) {
    if (found || live.empty()) return;
    found = true;
    origin = PositionAt(*view_.rows, live.begin);
  });
  return origin;
}

std::vector<int64_t> TierScorer::QueryAngles() const {
  std::vector<int64_t> angles = positions_;
  switch (rule_.policy) {
    case PositionPolicy::kAbsolute:
    case PositionPolicy::kClamp:
      break;
    case PositionPolicy::kConst:
      std::fill(angles.begin(), angles.end(), rule_.distance);
      break;
    case PositionPolicy::kNone:
      std::fill(angles.begin(), angles.end(), 0);
      break;
    case PositionPolicy::kLocalOrigin: {
      const int64_t origin = LocalOrigin();
      for (int64_t& angle : angles) {
        angle = std::max<int64_t>(angle - origin, 0);
      }
      break;
    }
    case PositionPolicy::kCacheRank:
      for (int64_t& angle : angles) angle = ranks_.OfPosition(angle);
      break;
  }
  return angles;
}

std::vector<float> TierScorer::Prepared(std::span<const int64_t> angles,
                                        int64_t center) const {
  std::vector<float> queries = read_.queries;
  const size_t dim = profile_.key_dim;
  const size_t head_floats = read_.rows * dim;
  Normalize(profile_, queries.data(), profile_.query_heads * read_.rows);
  const double m = encoder_.attention_factor();
  for (uint32_t head = 0; head < profile_.query_heads; ++head) {
    double scale = profile_.logit_scale * m * m;
    if (!profile_.head_scales.empty()) {
      scale *= profile_.OfHead(profile_.head_scales, read_.layer, head);
    }
    for (size_t i = 0; i < head_floats; ++i) {
      queries[head * head_floats + i] *= static_cast<float>(scale);
    }
  }
  if (rule_.policy == PositionPolicy::kNone || encoder_.rotary_dim() == 0) {
    return queries;
  }
  std::vector<float> cos(angles.size() * encoder_.rotary_dim() / 2);
  std::vector<float> sin(cos.size());
  encoder_.Angles(angles, cos.data(), sin.data());
  std::vector<float> magnitudes;
  if (encoder_.has_magnitude()) {
    magnitudes.resize(cos.size());
    encoder_.Magnitudes(angles, center, /*key_side=*/false, magnitudes.data());
  }
  for (uint32_t head = 0; head < profile_.query_heads; ++head) {
    encoder_.Rotate(queries.data() + head * head_floats, read_.rows, dim,
                    cos.data(), sin.data(),
                    magnitudes.empty() ? nullptr : magnitudes.data());
  }
  return queries;
}

void TierScorer::Dot(const float* near_keys, const float* far_keys,
                     std::span<const int64_t> positions, uint32_t kv_head,
                     size_t row_first, size_t row_count, float* logits) const {
  const size_t dim = profile_.key_dim;
  const size_t offset = (kv_head * bank_rows_ + row_first) * dim;
  const float* const queries = near_queries_.data() + offset;
  if (!clamps()) {
    attention::DotRows(queries, row_count, near_keys, positions.size(), dim,
                       logits);
    return;
  }
  const float* const far_queries = far_queries_.data() + offset;
  const auto [least, most] =
      std::minmax_element(positions_.begin(), positions_.end());
  if (positions.back() <= *least - rule_.distance) {
    attention::DotRows(far_queries, row_count, far_keys, positions.size(), dim,
                       logits);
    return;
  }
  attention::DotRows(queries, row_count, near_keys, positions.size(), dim,
                     logits);
  if (positions.front() > *most - rule_.distance) return;
  std::vector<float> far(row_count * positions.size());
  attention::DotRows(far_queries, row_count, far_keys, positions.size(), dim,
                     far.data());
  for (size_t r = 0; r < row_count; ++r) {
    const int64_t limit = PositionOf(row_first + r) - rule_.distance;
    for (size_t i = 0; i < positions.size(); ++i) {
      const size_t at = r * positions.size() + i;
      if (positions[i] <= limit) logits[at] = far[at];
    }
  }
}

void TierScorer::AddBias(std::span<const int64_t> positions,
                         std::span<const int64_t> angles, uint32_t kv_head,
                         size_t row_first, size_t row_count,
                         float* logits) const {
  if (!has_bias()) return;
  std::vector<int64_t> at(angles.begin(), angles.end());
  for (size_t r = 0; r < row_count; ++r) {
    const size_t row = row_first + r;
    const int64_t query = query_angles_[row % read_.rows];
    if (clamps()) {
      for (size_t i = 0; i < at.size(); ++i) {
        at[i] = std::max(positions[i], query - rule_.distance);
      }
    }
    float* const biased = logits + r * at.size();
    const int head = HeadOf(kv_head, row);
    if (alibi_) {
      alibi_->AddTo(head, query, at, biased);
    } else {
      relative_->AddTo(head, query, at, biased);
    }
  }
}

// Products to logits: cap, bias, and no number as an infinity, which reaches
// the lse where infinity less infinity would be lost.
void TierScorer::Finish(std::span<const int64_t> positions,
                        std::span<const int64_t> angles, uint32_t kv_head,
                        size_t row_first, size_t row_count,
                        float* logits) const {
  const size_t count = row_count * positions.size();
  if (profile_.logit_softcap > 0) {
    attention::SoftCap(static_cast<float>(profile_.logit_softcap), logits,
                       count);
  }
  AddBias(positions, angles, kv_head, row_first, row_count, logits);
  for (size_t i = 0; i < count; ++i) {
    if (std::isnan(logits[i])) logits[i] = kInfinity;
  }
}

void TierScorer::Score(const BlockSlice& slice, uint32_t kv_head,
                       float* logits) {
  const size_t bank = BankOf(kv_head);
  const auto positions =
      slice.block->positions().subspan(slice.first, slice.count);
  Dot(near_.Keys(slice, bank), clamps() ? far_.Keys(slice, bank) : nullptr,
      positions, kv_head, 0, bank_rows_, logits);
  std::vector<int64_t> ranks;
  if (has_bias() && rule_.policy == PositionPolicy::kCacheRank) {
    ranks = ranks_.OfSlice(slice);
  }
  Finish(positions, ranks.empty() ? positions : std::span<const int64_t>(ranks),
         kv_head, 0, bank_rows_, logits);
  for (size_t row = 0; row < bank_rows_; ++row) {
    const size_t visible =
        std::upper_bound(positions.begin(), positions.end(), PositionOf(row)) -
        positions.begin();
    std::fill(logits + row * slice.count + visible,
              logits + (row + 1) * slice.count, -kInfinity);
  }
  for (size_t i = 0; i < slice.count; ++i) {
    if (!profile_.IsLandmark(slice.seq_first + i)) continue;
    for (size_t row = 0; row < bank_rows_; ++row) {
      logits[row * slice.count + i] = -kInfinity;
    }
  }
}

void TierScorer::ScoreScattered(std::span<const uint64_t> seqs,
                                uint32_t kv_head, size_t row_first,
                                size_t row_count, float* logits) {
  std::vector<int64_t> positions(seqs.size());
  std::vector<int64_t> ranks;
  for (size_t i = 0; i < seqs.size(); ++i) {
    positions[i] = PositionAt(*view_.rows, seqs[i]);
    if (rule_.policy == PositionPolicy::kCacheRank) {
      ranks.push_back(ranks_.OfSeq(seqs[i]));
    }
  }
  const size_t bank = BankOf(kv_head);
  Dot(near_.Keys(*view_.rows, seqs, bank),
      clamps() ? far_.Keys(*view_.rows, seqs, bank) : nullptr, positions,
      kv_head, row_first, row_count, logits);
  Finish(positions, ranks.empty() ? positions : ranks, kv_head, row_first,
         row_count, logits);
}

void TierScorer::ScoreTokens(std::span<const uint64_t> seqs, uint32_t kv_head,
                             size_t bank_row, float* logits) {
  // Decoded keys of a large choice would not fit in memory at once.
  for (size_t first = 0; first < seqs.size(); first += kGatheredKeys) {
    const size_t count = std::min(kGatheredKeys, seqs.size() - first);
    ScoreScattered(seqs.subspan(first, count), kv_head, bank_row, 1,
                   logits + first);
  }
}

void TierScorer::ScoreTokens(std::span<const uint64_t> seqs, uint32_t kv_head,
                             float* logits) {
  ScoreScattered(seqs, kv_head, 0, bank_rows_, logits);
}

KeyForm TierScorer::MeanForm() const {
  // A mean of keys at true positions is one at none; far from the query CLAMP
  // looks at all of them from one distance.
  KeyForm form = FormOf(rule_, std::nullopt);
  if (clamps()) form.rotated = false;
  form.center = Largest(query_angles_);
  return form;
}

void TierScorer::ScoreMeans(const float* means,
                            std::span<const int64_t> positions,
                            uint32_t kv_head, float* logits) const {
  const std::vector<float>& queries = clamps() ? far_queries_ : near_queries_;
  attention::DotRows(queries.data() + kv_head * bank_rows_ * profile_.key_dim,
                     bank_rows_, means, positions.size(), profile_.key_dim,
                     logits);
  Finish(positions, positions, kv_head, 0, bank_rows_, logits);
}

}  // namespace mneme::memory
