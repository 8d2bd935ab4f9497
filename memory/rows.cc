#include "memory/rows.h"

namespace mneme::memory {

RowBlock::RowBlock(const Profile& profile)
    : key_stride_(kBlockTokens * profile.key_bytes()),
      value_stride_(kBlockTokens * profile.value_bytes()),
      keys_(profile.bank_count() * key_stride_),
      values_(profile.bank_count() * value_stride_) {}

}  // namespace mneme::memory
