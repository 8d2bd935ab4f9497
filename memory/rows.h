// memory/rows.h: keys and values of the log, in memory, in blocks.

#ifndef MNEME_MEMORY_ROWS_H_
#define MNEME_MEMORY_ROWS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/stable_list.h"
#include "memory/profile.h"
#include "memory/seq_set.h"

namespace mneme::memory {

// Tokens a block: the unit in which rows are stored, scanned and overwritten.
inline constexpr size_t kBlockTokens = 128;

// The rows of kBlockTokens consecutive tokens, of every bank.
// Threads: one writer fills rows in order; readers read rows below a count that
// they learned under the writer's lock.
class RowBlock {
 public:
  // Takes physical memory as it is filled.
  explicit RowBlock(const Profile& profile);
  RowBlock(const RowBlock&) = delete;
  RowBlock& operator=(const RowBlock&) = delete;

  // A block of zeros with the positions of `of`, that shares its zeros with
  // every other: what is left of a block of which everything is forgotten.
  // REQUIRES: nobody writes its rows.
  static std::shared_ptr<RowBlock> Blank(const Profile& profile,
                                         const RowBlock& of);
  bool blank() const { return key_stride_ == 0; }

  // The rows below `count` of `of`, which may be blank, in a block to write to.
  static std::shared_ptr<RowBlock> Begun(const Profile& profile,
                                         const RowBlock& of, size_t count);

  // Of every bank.
  void ClearRow(size_t row);
  bool RowIsZero(size_t row) const;

  // [kBlockTokens, key_dim] and [kBlockTokens, value_dim] of one bank.
  std::byte* keys(size_t bank) { return keys_.get() + bank * key_stride_; }
  std::byte* values(size_t bank) {
    return values_.get() + bank * value_stride_;
  }
  const std::byte* keys(size_t bank) const {
    return keys_.get() + bank * key_stride_;
  }
  const std::byte* values(size_t bank) const {
    return values_.get() + bank * value_stride_;
  }
  std::span<int64_t> positions() { return positions_; }
  std::span<const int64_t> positions() const { return positions_; }

 private:
  using Bytes = std::shared_ptr<std::byte>;

  RowBlock(const Profile& profile, size_t banks, Bytes keys, Bytes values);
  static Bytes Zeros(size_t size);
  static Bytes SharedZeros(size_t size);

  size_t banks_;  // In memory.
  size_t key_bytes_;
  size_t value_bytes_;
  size_t key_stride_;  // Of a blank block, every bank is the same.
  size_t value_stride_;
  Bytes keys_;
  Bytes values_;
  std::array<int64_t, kBlockTokens> positions_{};
};

// Clears the rows of those tokens in `range`, which lies in the block, that are
// forgotten.
void ClearForgotten(SeqRange range, const SeqSet& forgotten, RowBlock& block);

using RowBlocks = base::StableList<std::shared_ptr<RowBlock>>;

// Of a token. REQUIRES: its row is filled.
inline int64_t PositionAt(const RowBlocks& blocks, uint64_t seq) {
  return blocks[seq / kBlockTokens]->positions()[seq % kBlockTokens];
}

// The part of one block that a range covers.
struct BlockSlice {
  const RowBlock* block;
  uint64_t seq_first;  // Seq of row `first`.
  size_t first;        // First row in the block.
  size_t count;
};

// Calls `visit(BlockSlice)` for each block that `range` touches, in order,
// until it returns false; returns whether all were visited. REQUIRES: the range
// is filled.
template <typename Visit>
bool ForEachSlice(const RowBlocks& blocks, SeqRange range, Visit visit) {
  for (uint64_t seq = range.begin; seq < range.end;) {
    const size_t first = seq % kBlockTokens;
    const size_t count =
        std::min<uint64_t>(kBlockTokens - first, range.end - seq);
    if (!visit(
            BlockSlice{blocks[seq / kBlockTokens].get(), seq, first, count})) {
      return false;
    }
    seq += count;
  }
  return true;
}

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_ROWS_H_
