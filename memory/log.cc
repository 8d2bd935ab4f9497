#include "memory/log.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/check.h"
#include "base/status_macros.h"
#include "memory/keys.h"
#include "memory/log_loader.h"
#include "memory/row_records.h"

namespace mneme::memory {
namespace {

void CopyTo(std::byte* to, std::string_view from) {
  std::memcpy(to, from.data(), from.size());
}

}  // namespace

Log::Log(const Profile* profile, Shared<RowBlock>* shared)
    : profile_(profile),
      shared_(shared),
      rows_(std::make_shared<RowBlocks>()) {}

absl::Status Log::Load(const Store& store, const Branch& branch,
                       uint64_t seq_next, const SeqSet& forgotten) {
  ASSIGN_OR_RETURN(LoadedRows loaded, LoadRows(store, *profile_, branch,
                                               seq_next, forgotten, *shared_));
  uid_ = branch.uid;
  seq_begin_ = branch.seq_begin();
  rows_ = std::move(loaded.rows);
  borrowed_ = loaded.borrowed;
  tails_ = std::move(loaded.tails);
  seq_next_ = seq_next;
  return absl::OkStatus();
}

void Log::Stage(const StagedRows& rows, const SeqSet& forgotten,
                WriteBatch& batch) {
  if (borrowed_) CopyBorrowed(forgotten);
  staged_tails_ = tails_;
  uint64_t done = 0;
  while (done < rows.count) {
    const uint64_t seq = seq_next_ + done;
    const uint64_t number = seq / kBlockTokens;
    const size_t first = seq % kBlockTokens;
    const size_t count =
        std::min<uint64_t>(kBlockTokens - first, rows.count - done);
    if (number == rows_->size()) {
      rows_->push_back(std::make_shared<RowBlock>(*profile_));
    }
    RowBlock& block = *(*rows_)[number];
    const size_t key_bytes = profile_->key_bytes();
    const size_t value_bytes = profile_->value_bytes();
    for (size_t bank = 0; bank < profile_->bank_count(); ++bank) {
      const uint64_t row = bank * rows.count + done;
      CopyTo(block.keys(bank) + first * key_bytes,
             rows.keys.substr(row * key_bytes, count * key_bytes));
      CopyTo(block.values(bank) + first * value_bytes,
             rows.values.substr(row * value_bytes, count * value_bytes));
    }
    for (size_t i = 0; i < count; ++i) {
      block.positions()[first + i] = rows.positions[done + i];
    }
    if (first + count == kBlockTokens) {
      PutBlock(uid_, *profile_, block, number, batch);
      for (const uint64_t tail : staged_tails_) {
        batch.Delete(TailKey(uid_, tail));
      }
      staged_tails_.clear();
    } else {
      PutTail(uid_, *profile_, block, seq, count, batch);
      staged_tails_.push_back(seq);
    }
    done += count;
  }
  staged_next_ = seq_next_ + rows.count;
}

void Log::Commit() {
  seq_next_ = staged_next_;
  tails_ = std::move(staged_tails_);
}

void Log::CopyBorrowed(const SeqSet& forgotten) {
  const uint64_t last = seq_next_ / kBlockTokens;
  auto rows = std::make_shared<RowBlocks>();
  for (uint64_t number = 0; number < last; ++number) {
    rows->push_back((*rows_)[number]);
  }
  // Whoever owns the block may be writing behind our end.
  auto block =
      RowBlock::Begun(*profile_, *(*rows_)[last], seq_next_ % kBlockTokens);
  ClearForgotten({last * kBlockTokens, seq_next_}, forgotten, *block);
  rows->push_back(std::move(block));
  rows_ = std::move(rows);
  borrowed_ = false;
}

void Log::BranchOff(uint64_t uid) {
  const uint64_t end = (seq_next_ + kBlockTokens - 1) / kBlockTokens;
  for (uint64_t number = seq_begin_ / kBlockTokens; number < end; ++number) {
    shared_->Lend(uid_, number, (*rows_)[number]);
  }
  uid_ = uid;
  seq_begin_ = seq_next_;
  tails_.clear();
  borrowed_ = seq_next_ % kBlockTokens != 0;
}

bool Log::NeedsErasing(uint64_t number, const SeqSet& forgotten) const {
  const SeqRange covered = Intersect(
      {number * kBlockTokens, (number + 1) * kBlockTokens}, {0, seq_next_});
  const RowBlock& block = *(*rows_)[number];
  bool needs = false;
  if (block.blank()) return needs;
  forgotten.ForEachRun(covered, [&](SeqRange run) {
    needs = needs || run.size() == kBlockTokens;  // Takes less memory blank.
    for (uint64_t seq = run.begin; !needs && seq < run.end; ++seq) {
      needs = !block.RowIsZero(seq % kBlockTokens);
    }
  });
  return needs;
}

Log::Erased Log::Erase(const SeqSet& forgotten, uint64_t block_begin,
                       uint64_t block_end, WriteBatch& batch) const {
  Erased after{std::make_shared<RowBlocks>(), tails_};
  // The block of the border is its own once it is full, or has own rows.
  block_begin =
      std::max(block_begin, seq_begin_ / kBlockTokens + (borrowed_ ? 1 : 0));
  for (uint64_t number = 0; number < rows_->size(); ++number) {
    after.rows->push_back((*rows_)[number]);
    if (number < block_begin || number >= block_end ||
        !NeedsErasing(number, forgotten)) {
      continue;
    }
    const SeqRange covered{number * kBlockTokens, (number + 1) * kBlockTokens};
    std::shared_ptr<RowBlock>& block = (*after.rows)[number];
    if (forgotten.CountIn(covered) == kBlockTokens) {
      block = RowBlock::Blank(*profile_, *block);
      for (uint32_t bank = 0; bank < profile_->bank_count(); ++bank) {
        batch.Delete(RowsKey(uid_, number, bank));
      }
      continue;
    }
    // Readers of older views keep the old block.
    block = RowBlock::Begun(*profile_, *block, kBlockTokens);
    ClearForgotten(covered, forgotten, *block);
    if (covered.end <= seq_next_) {
      PutBlock(uid_, *profile_, *block, number, batch);
    } else {
      for (const uint64_t tail : tails_) batch.Delete(TailKey(uid_, tail));
      const uint64_t first = std::max(covered.begin, seq_begin_);
      after.tails = {first};
      PutTail(uid_, *profile_, *block, first, seq_next_ - first, batch);
    }
  }
  return after;
}

void Log::Replace(Erased erased) {
  rows_ = std::move(erased.rows);
  tails_ = std::move(erased.tails);
}

}  // namespace mneme::memory
