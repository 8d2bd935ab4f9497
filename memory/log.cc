#include "memory/log.h"

#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "memory/records.h"

namespace mneme::memory {
namespace {

std::string_view AsView(const std::byte* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

void CopyTo(std::byte* to, std::string_view from) {
  std::memcpy(to, from.data(), from.size());
}

absl::Status Missing(uint64_t begin, uint64_t end, std::string_view what) {
  return base::Error(
      absl::StatusCode::kDataLoss,
      absl::StrCat("tokens ", begin, " to ", end, ": ", std::string(what)),
      {.reason = "LOG_INCOMPLETE",
       .metadata = {{"seq_begin", absl::StrCat(begin)},
                    {"seq_end", absl::StrCat(end)}}});
}

}  // namespace

Log::Log(uint64_t uid, const Profile* profile)
    : uid_(uid), profile_(profile), rows_(std::make_shared<RowBlocks>()) {}

absl::Status Log::Load(const Store& store, uint64_t seq_next) {
  const uint64_t blocks = seq_next / kBlockTokens;
  RETURN_IF_ERROR(LoadBlocks(store, blocks));
  RETURN_IF_ERROR(LoadTail(store, seq_next));
  seq_next_ = seq_next;
  return absl::OkStatus();
}

absl::Status Log::LoadBlocks(const Store& store, uint64_t blocks) {
  RETURN_IF_ERROR(ScanRecords(
      store, uid_, RecordKind::kPositions,
      [&](std::string_view key, std::string_view payload) {
        auto block = std::make_shared<RowBlock>(*profile_);
        if (key != PositionsKey(uid_, rows_->size()) ||
            payload.size() != block->positions().size_bytes()) {
          return false;
        }
        std::memcpy(block->positions().data(), payload.data(), payload.size());
        rows_->push_back(std::move(block));
        return true;
      }));
  if (rows_->size() != blocks) {
    return Missing(rows_->size() * kBlockTokens, blocks * kBlockTokens,
                   absl::StrCat("positions of ", rows_->size(), " of ", blocks,
                                " full blocks are there"));
  }
  const size_t key_bytes = kBlockTokens * profile_->key_bytes();
  const size_t value_bytes = kBlockTokens * profile_->value_bytes();
  const uint64_t expected = blocks * profile_->bank_count();
  uint64_t next = 0;
  RETURN_IF_ERROR(ScanRecords(
      store, uid_, RecordKind::kRows,
      [&](std::string_view key, std::string_view payload) {
        const uint64_t number = next / profile_->bank_count();
        const auto bank = static_cast<uint32_t>(next % profile_->bank_count());
        if (next == expected || key != RowsKey(uid_, number, bank) ||
            payload.size() != key_bytes + value_bytes) {
          return false;
        }
        RowBlock& block = *(*rows_)[number];
        CopyTo(block.keys(bank), payload.substr(0, key_bytes));
        CopyTo(block.values(bank), payload.substr(key_bytes));
        ++next;
        return true;
      }));
  if (next == expected) return absl::OkStatus();
  return Missing(next / profile_->bank_count() * kBlockTokens,
                 blocks * kBlockTokens, "rows are missing");
}

absl::Status Log::LoadTail(const Store& store, uint64_t seq_next) {
  uint64_t at = seq_next / kBlockTokens * kBlockTokens;
  if (seq_next > at) rows_->push_back(std::make_shared<RowBlock>(*profile_));
  RETURN_IF_ERROR(ScanRecords(
      store, uid_, RecordKind::kTail,
      [&](std::string_view key, std::string_view payload) {
        base::ByteReader in(payload);
        const auto count = in.Number<uint32_t>();
        if (count == 0 || count > seq_next - at || key != TailKey(uid_, at) ||
            in.left() != count * (sizeof(int64_t) + profile_->token_bytes())) {
          return false;
        }
        RowBlock& block = *(*rows_)[at / kBlockTokens];
        const size_t first = at % kBlockTokens;
        for (size_t i = 0; i < count; ++i) {
          block.positions()[first + i] = in.Number<int64_t>();
        }
        for (size_t bank = 0; bank < profile_->bank_count(); ++bank) {
          CopyTo(block.keys(bank) + first * profile_->key_bytes(),
                 in.Raw(count * profile_->key_bytes()));
          CopyTo(block.values(bank) + first * profile_->value_bytes(),
                 in.Raw(count * profile_->value_bytes()));
        }
        tails_.push_back(at);
        at += count;
        return true;
      }));
  if (at == seq_next) return absl::OkStatus();
  return Missing(at, seq_next, "the tail is cut short");
}

void Log::PutBlock(const RowBlock& block, uint64_t number,
                   WriteBatch& batch) const {
  PutRecord(RecordKind::kPositions, PositionsKey(uid_, number),
            {reinterpret_cast<const char*>(block.positions().data()),
             block.positions().size_bytes()},
            batch);
  std::string payload;
  for (size_t bank = 0; bank < profile_->bank_count(); ++bank) {
    payload.assign(
        AsView(block.keys(bank), kBlockTokens * profile_->key_bytes()));
    payload.append(
        AsView(block.values(bank), kBlockTokens * profile_->value_bytes()));
    PutRecord(RecordKind::kRows,
              RowsKey(uid_, number, static_cast<uint32_t>(bank)), payload,
              batch);
  }
}

void Log::PutTail(const RowBlock& block, uint64_t seq_first, size_t count,
                  WriteBatch& batch) const {
  const size_t first = seq_first % kBlockTokens;
  base::ByteWriter out;
  out.Number(static_cast<uint32_t>(count));
  for (size_t i = 0; i < count; ++i) {
    out.Number(block.positions()[first + i]);
  }
  for (size_t bank = 0; bank < profile_->bank_count(); ++bank) {
    out.Raw(AsView(block.keys(bank) + first * profile_->key_bytes(),
                   count * profile_->key_bytes()));
    out.Raw(AsView(block.values(bank) + first * profile_->value_bytes(),
                   count * profile_->value_bytes()));
  }
  PutRecord(RecordKind::kTail, TailKey(uid_, seq_first), out.Take(), batch);
}

void Log::Stage(const StagedRows& rows, WriteBatch& batch) {
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
      PutBlock(block, number, batch);
      for (const uint64_t tail : staged_tails_) {
        batch.Delete(TailKey(uid_, tail));
      }
      staged_tails_.clear();
    } else {
      PutTail(block, seq, count, batch);
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

Log::Overwritten Log::Overwrite(const SeqSet& forgotten,
                                WriteBatch& batch) const {
  Overwritten after{std::make_shared<RowBlocks>(), tails_};
  for (size_t number = 0; number < rows_->size(); ++number) {
    const SeqRange covered{number * kBlockTokens, (number + 1) * kBlockTokens};
    if (forgotten.CountIn(covered) == 0) {
      after.rows->push_back((*rows_)[number]);
      continue;
    }
    // Readers of older views keep the old block.
    auto block = std::make_shared<RowBlock>(*(*rows_)[number]);
    for (size_t row = 0; row < kBlockTokens; ++row) {
      if (forgotten.Contains(covered.begin + row)) ClearRow(row, *block);
    }
    if (covered.end <= seq_next_) {
      PutBlock(*block, number, batch);
    } else {
      for (const uint64_t tail : tails_) batch.Delete(TailKey(uid_, tail));
      after.tails = {covered.begin};
      PutTail(*block, covered.begin, seq_next_ - covered.begin, batch);
    }
    after.rows->push_back(std::move(block));
  }
  return after;
}

void Log::ClearRow(size_t row, RowBlock& block) const {
  const size_t key_bytes = profile_->key_bytes();
  const size_t value_bytes = profile_->value_bytes();
  for (size_t bank = 0; bank < profile_->bank_count(); ++bank) {
    std::memset(block.keys(bank) + row * key_bytes, 0, key_bytes);
    std::memset(block.values(bank) + row * value_bytes, 0, value_bytes);
  }
}

void Log::Replace(Overwritten overwritten) {
  rows_ = std::move(overwritten.rows);
  tails_ = std::move(overwritten.tails);
}

}  // namespace mneme::memory
