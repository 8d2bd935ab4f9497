#include "memory/rows.h"

namespace mneme::memory {

RowBlock::RowBlock(const Profile& profile)
    : key_stride_(kBlockTokens * profile.key_bytes()),
      value_stride_(kBlockTokens * profile.value_bytes()),
      keys_(profile.bank_count() * key_stride_),
      values_(profile.bank_count() * value_stride_) {}

std::shared_ptr<RowBlock> RowBlock::Blank(const Profile& profile,
                                          const RowBlock& of) {
  const std::shared_ptr<RowBlock> blank(new RowBlock());
  blank->keys_.resize(kBlockTokens * profile.key_bytes());
  blank->values_.resize(kBlockTokens * profile.value_bytes());
  blank->positions_ = of.positions_;
  return blank;
}

}  // namespace mneme::memory
