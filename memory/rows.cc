#include "memory/rows.h"

#include <algorithm>

namespace mneme::memory {

RowBlock::RowBlock(const Profile& profile)
    : key_bytes_(profile.key_bytes()),
      value_bytes_(profile.value_bytes()),
      key_stride_(kBlockTokens * key_bytes_),
      value_stride_(kBlockTokens * value_bytes_),
      keys_(profile.bank_count() * key_stride_),
      values_(profile.bank_count() * value_stride_) {}

std::shared_ptr<RowBlock> RowBlock::Blank(const Profile& profile,
                                          const RowBlock& of) {
  const std::shared_ptr<RowBlock> blank(new RowBlock());
  blank->key_bytes_ = profile.key_bytes();
  blank->value_bytes_ = profile.value_bytes();
  blank->keys_.resize(kBlockTokens * blank->key_bytes_);
  blank->values_.resize(kBlockTokens * blank->value_bytes_);
  blank->positions_ = of.positions_;
  return blank;
}

std::shared_ptr<RowBlock> RowBlock::Begun(const Profile& profile,
                                          const RowBlock& of, size_t count) {
  auto begun = std::make_shared<RowBlock>(profile);
  for (size_t bank = 0; bank < profile.bank_count(); ++bank) {
    std::copy_n(of.keys(bank), count * of.key_bytes_, begun->keys(bank));
    std::copy_n(of.values(bank), count * of.value_bytes_, begun->values(bank));
  }
  std::copy_n(of.positions_.begin(), count, begun->positions_.begin());
  return begun;
}

void RowBlock::ClearRow(size_t row) {
  const auto clear = [row](std::vector<std::byte>& bytes, size_t row_bytes) {
    const size_t stride = kBlockTokens * row_bytes;
    for (size_t at = row * row_bytes; at < bytes.size(); at += stride) {
      std::fill_n(&bytes[at], row_bytes, std::byte{0});
    }
  };
  clear(keys_, key_bytes_);
  clear(values_, value_bytes_);
}

bool RowBlock::RowIsZero(size_t row) const {
  const auto zero = [row](const std::vector<std::byte>& bytes,
                          size_t row_bytes) {
    const size_t stride = kBlockTokens * row_bytes;
    for (size_t at = row * row_bytes; at < bytes.size(); at += stride) {
      if (!std::all_of(&bytes[at], &bytes[at] + row_bytes,
                       [](std::byte b) { return b == std::byte{0}; })) {
        return false;
      }
    }
    return true;
  };
  return zero(keys_, key_bytes_) && zero(values_, value_bytes_);
}

void ClearForgotten(SeqRange range, const SeqSet& forgotten, RowBlock& block) {
  forgotten.ForEachRun(range, [&](SeqRange run) {
    for (uint64_t seq = run.begin; seq < run.end; ++seq) {
      block.ClearRow(seq % kBlockTokens);
    }
  });
}

}  // namespace mneme::memory
