#include "memory/key_reader.h"

#include <algorithm>

#include "attention/normalize.h"

namespace mneme::memory {

KeyForm FormOf(const PositionRule& rule,
               std::optional<attention::DType> dtype) {
  return {.rotated = KeepsDistances(rule.policy), .rounded = dtype};
}

void Normalize(const Profile& profile, float* rows, size_t count) {
  if (profile.normalization == Normalization::kNone) return;
  attention::NormalizeRows(rows, count, profile.key_dim,
                           profile.normalization == Normalization::kL2
                               ? attention::NormGuard::kClampedNorm
                               : attention::NormGuard::kAddedSquares);
}

KeyReader::KeyReader(const Profile& profile,
                     const attention::PositionEncoder& encoder, KeyForm form)
    : profile_(profile), encoder_(encoder), form_(form) {}

const float* KeyReader::Keys(const BlockSlice& slice, size_t bank) {
  keys_.resize(slice.count * profile_.key_dim);
  attention::ToFloat(
      profile_.dtype,
      slice.block->keys(bank) + slice.first * profile_.key_bytes(),
      keys_.size(), keys_.data());
  if (turns() &&
      (angles_block_ != slice.block || angles_first_ != slice.first ||
       angles_count_ < slice.count)) {
    if (form_.ranks == nullptr) {
      FormAngles(slice.block->positions().subspan(slice.first, slice.count));
    } else {
      angles_at_ = form_.ranks->OfSlice(slice);
      FormAngles(angles_at_);
    }
    angles_block_ = slice.block;
    angles_first_ = slice.first;
    angles_count_ = slice.count;
  }
  Shape(slice.count);
  return keys_.data();
}

const float* KeyReader::Keys(const RowBlocks& rows,
                             std::span<const uint64_t> seqs, size_t bank) {
  const size_t dim = profile_.key_dim;
  keys_.resize(seqs.size() * dim);
  angles_at_.resize(seqs.size());
  for (size_t i = 0; i < seqs.size(); ++i) {
    const RowBlock& block = *rows[seqs[i] / kBlockTokens];
    const size_t row = seqs[i] % kBlockTokens;
    attention::ToFloat(profile_.dtype,
                       block.keys(bank) + row * profile_.key_bytes(), dim,
                       keys_.data() + i * dim);
    angles_at_[i] = form_.ranks == nullptr ? block.positions()[row]
                                           : form_.ranks->OfSeq(seqs[i]);
  }
  if (turns()) {
    FormAngles(angles_at_);
    angles_block_ = nullptr;
  }
  Shape(seqs.size());
  return keys_.data();
}

const float* KeyReader::Values(const BlockSlice& slice, size_t bank) {
  values_.resize(slice.count * profile_.value_dim);
  attention::ToFloat(
      profile_.dtype,
      slice.block->values(bank) + slice.first * profile_.value_bytes(),
      values_.size(), values_.data());
  Round(values_.data(), values_.size());
  return values_.data();
}

const float* KeyReader::Values(const RowBlocks& rows,
                               std::span<const uint64_t> seqs, size_t bank) {
  const size_t dim = profile_.value_dim;
  values_.resize(seqs.size() * dim);
  for (size_t i = 0; i < seqs.size(); ++i) {
    attention::ToFloat(profile_.dtype,
                       rows[seqs[i] / kBlockTokens]->values(bank) +
                           seqs[i] % kBlockTokens * profile_.value_bytes(),
                       dim, values_.data() + i * dim);
  }
  Round(values_.data(), values_.size());
  return values_.data();
}

void KeyReader::Round(float* numbers, size_t count) {
  if (!form_.rounded || *form_.rounded == profile_.dtype) return;
  rounded_.resize(count * attention::SizeOf(*form_.rounded));
  attention::FromFloat(*form_.rounded, numbers, count, rounded_.data());
  attention::ToFloat(*form_.rounded, rounded_.data(), count, numbers);
}

void KeyReader::Shape(size_t count) {
  const size_t dim = profile_.key_dim;
  Round(keys_.data(), count * dim);
  Normalize(profile_, keys_.data(), count);
  if (!turns()) return;
  encoder_.Rotate(keys_.data(), count, dim, cos_.data(), sin_.data(),
                  encoder_.has_magnitude() ? magnitudes_.data() : nullptr);
}

void KeyReader::FormAngles(std::span<const int64_t> positions) {
  cos_.resize(positions.size() * encoder_.rotary_dim() / 2);
  sin_.resize(cos_.size());
  encoder_.Angles(positions, cos_.data(), sin_.data());
  if (!encoder_.has_magnitude()) return;
  magnitudes_.resize(cos_.size());
  encoder_.Magnitudes(positions, form_.center, /*key_side=*/true,
                      magnitudes_.data());
}

}  // namespace mneme::memory
