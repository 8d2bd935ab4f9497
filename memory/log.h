// memory/log.h: the rows of a session's log, in memory and as records.
// Full blocks are one record a bank; the tokens of the block that is not full
// yet are small tail records, so that no block is rewritten token by token.

#ifndef MNEME_MEMORY_LOG_H_
#define MNEME_MEMORY_LOG_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "memory/profile.h"
#include "memory/rows.h"
#include "memory/seq_set.h"
#include "memory/store.h"

namespace mneme::memory {

// Tokens to append: [banks, count, dim] in the profile's dtype.
struct StagedRows {
  uint64_t count = 0;
  std::string_view keys;
  std::string_view values;
  std::span<const int64_t> positions;  // [count].
};

// Threads: one at a time; readers use rows() of a view, below its seq_next.
class Log {
 public:
  // Lifetime: `profile` outlives the log.
  Log(uint64_t uid, const Profile* profile);

  // Reads the rows below `seq_next`. Errors: DATA_LOSS that names the range.
  absl::Status Load(const Store& store, uint64_t seq_next);

  // Puts rows behind seq_next, where no reader looks yet, and their records
  // into `batch`. Nothing happened until Commit: staging again overwrites.
  void Stage(const StagedRows& rows, WriteBatch& batch);
  // What was staged is on disk: the log ends behind it.
  void Commit();

  // A copy of the log whose forgotten rows are zeros; `batch` makes the disk
  // equal to it. The log itself changes with Replace.
  struct Overwritten {
    std::shared_ptr<RowBlocks> rows;
    std::vector<uint64_t> tails;
  };
  Overwritten Overwrite(const SeqSet& forgotten, WriteBatch& batch) const;
  void Replace(Overwritten overwritten);

  // The records of one full block, and of the `count` tokens from `seq_first`
  // on in a block that is not full.
  void PutBlock(const RowBlock& block, uint64_t number,
                WriteBatch& batch) const;
  void PutTail(const RowBlock& block, uint64_t seq_first, size_t count,
               WriteBatch& batch) const;

  std::shared_ptr<const RowBlocks> rows() const { return rows_; }

 private:
  absl::Status LoadBlocks(const Store& store, uint64_t blocks);
  absl::Status LoadTail(const Store& store, uint64_t seq_next);
  void ClearRow(size_t row, RowBlock& block) const;

  const uint64_t uid_;
  const Profile* const profile_;
  std::shared_ptr<RowBlocks> rows_;
  uint64_t seq_next_ = 0;
  std::vector<uint64_t> tails_;  // First seqs of the tail records on disk.
  uint64_t staged_next_ = 0;
  std::vector<uint64_t> staged_tails_;
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_LOG_H_
