#include "memory/rows.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

#include "base/mutex.h"

namespace mneme::memory {

// Fresh pages of the system are zeros already, and take no memory until they
// are written.
RowBlock::Bytes RowBlock::Zeros(size_t size) {
  void* const zeros = std::calloc(std::max<size_t>(size, 1), 1);
  if (zeros == nullptr) throw std::bad_alloc();
  return {static_cast<std::byte*>(zeros), std::free};
}

RowBlock::Bytes RowBlock::SharedZeros(size_t size) {
  static base::Mutex mutex;
  static std::weak_ptr<std::byte> last;
  static size_t last_size = 0;
  base::MutexLock lock(&mutex);
  Bytes zeros = last.lock();
  if (zeros && last_size >= size) return zeros;
  zeros = Zeros(size);
  last = zeros;
  last_size = size;
  return zeros;
}

RowBlock::RowBlock(const Profile& profile, size_t banks, Bytes keys,
                   Bytes values)
    : banks_(banks),
      key_bytes_(profile.key_bytes()),
      value_bytes_(profile.value_bytes()),
      key_stride_(kBlockTokens * key_bytes_),
      value_stride_(kBlockTokens * value_bytes_),
      keys_(std::move(keys)),
      values_(std::move(values)) {}

RowBlock::RowBlock(const Profile& profile)
    : RowBlock(
          profile, profile.bank_count(),
          Zeros(profile.bank_count() * kBlockTokens * profile.key_bytes()),
          Zeros(profile.bank_count() * kBlockTokens * profile.value_bytes())) {}

std::shared_ptr<RowBlock> RowBlock::Blank(const Profile& profile,
                                          const RowBlock& of) {
  const Bytes zeros = SharedZeros(
      kBlockTokens * std::max(profile.key_bytes(), profile.value_bytes()));
  std::shared_ptr<RowBlock> blank(
      new RowBlock(profile, /*banks=*/1, zeros, zeros));
  blank->key_stride_ = 0;
  blank->value_stride_ = 0;
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
  for (size_t bank = 0; bank < banks_; ++bank) {
    std::fill_n(keys(bank) + row * key_bytes_, key_bytes_, std::byte{0});
    std::fill_n(values(bank) + row * value_bytes_, value_bytes_, std::byte{0});
  }
}

bool RowBlock::RowIsZero(size_t row) const {
  const auto zero = [](const std::byte* bytes, size_t size) {
    return std::all_of(bytes, bytes + size,
                       [](std::byte b) { return b == std::byte{0}; });
  };
  for (size_t bank = 0; bank < banks_; ++bank) {
    if (!zero(keys(bank) + row * key_bytes_, key_bytes_) ||
        !zero(values(bank) + row * value_bytes_, value_bytes_)) {
      return false;
    }
  }
  return true;
}

void ClearForgotten(SeqRange range, const SeqSet& forgotten, RowBlock& block) {
  forgotten.ForEachRun(range, [&](SeqRange run) {
    for (uint64_t seq = run.begin; seq < run.end; ++seq) {
      block.ClearRow(seq % kBlockTokens);
    }
  });
}

}  // namespace mneme::memory
