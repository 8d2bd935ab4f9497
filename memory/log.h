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
#include "memory/branch.h"
#include "memory/profile.h"
#include "memory/rows.h"
#include "memory/seq_set.h"
#include "memory/shared_parts.h"
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
  // Lifetime: `profile` and `shared` outlive the log.
  Log(const Profile* profile, Shared<RowBlock>* shared);

  // Reads the rows below `seq_next`. Errors: DATA_LOSS that names the range.
  absl::Status Load(const Store& store, const Branch& branch, uint64_t seq_next,
                    const SeqSet& forgotten);

  // Puts rows behind seq_next, where no reader looks yet, and their records
  // into `batch`. Nothing happened until Commit: staging again overwrites. A
  // block that a trunk began is completed without what is `forgotten`.
  void Stage(const StagedRows& rows, const SeqSet& forgotten,
             WriteBatch& batch);
  // What was staged is on disk: the log ends behind it.
  void Commit();

  // A copy of the log in which its own blocks [block_begin, block_end) have
  // zeros for rows that are forgotten; `batch` makes the disk equal to it. The
  // log itself changes with Replace. Blocks that have them already are left.
  struct Erased {
    std::shared_ptr<RowBlocks> rows;
    std::vector<uint64_t> tails;
  };
  Erased Erase(const SeqSet& forgotten, uint64_t block_begin,
               uint64_t block_end, WriteBatch& batch) const;
  void Replace(Erased erased);

  // From here on its records lie under `uid`; what it holds is a trunk's, and
  // lent to whoever reads that.
  void BranchOff(uint64_t uid);

  std::shared_ptr<const RowBlocks> rows() const { return rows_; }

 private:
  void CopyBorrowed(const SeqSet& forgotten);
  bool NeedsErasing(uint64_t number, const SeqSet& forgotten) const;

  const Profile* const profile_;
  Shared<RowBlock>* const shared_;
  uint64_t uid_ = 0;
  uint64_t seq_begin_ = 0;  // Tokens below it lie under other uids.
  std::shared_ptr<RowBlocks> rows_;
  bool borrowed_ = false;  // The last block is a trunk's.
  uint64_t seq_next_ = 0;
  std::vector<uint64_t> tails_;  // First seqs of the tail records on disk.
  uint64_t staged_next_ = 0;
  std::vector<uint64_t> staged_tails_;
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_LOG_H_
