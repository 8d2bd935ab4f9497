#include "memory/log_loader.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "memory/records.h"

namespace mneme::memory {
namespace {

absl::Status Missing(SeqRange seqs, std::string_view what) {
  return base::Error(absl::StatusCode::kDataLoss,
                     absl::StrCat("tokens ", seqs.begin, " to ", seqs.end, ": ",
                                  std::string(what)),
                     {.reason = "LOG_INCOMPLETE",
                      .metadata = {{"seq_begin", absl::StrCat(seqs.begin)},
                                   {"seq_end", absl::StrCat(seqs.end)}}});
}

SeqRange RangeOfBlock(uint64_t number) {
  return {number * kBlockTokens, (number + 1) * kBlockTokens};
}

// Reads one part of a log into the rows of the parts before it.
class PartLoader {
 public:
  PartLoader(const Store& store, const Profile& profile,
             const Branch::Part& part, const SeqSet& forgotten, RowBlocks& rows)
      : store_(store),
        profile_(profile),
        part_(part),
        forgotten_(forgotten),
        rows_(rows),
        first_(part.seqs.begin / kBlockTokens),
        end_((part.seqs.end + kBlockTokens - 1) / kBlockTokens),
        full_(part.seqs.end / kBlockTokens) {}

  absl::Status Load() {
    // An end that is wrong must not take memory for blocks that are not there.
    if (full_ > first_) RETURN_IF_ERROR(CheckLast());
    blocks_.resize(end_ - first_);
    RETURN_IF_ERROR(LoadPositions());
    RETURN_IF_ERROR(LoadBlocks());
    // A trunk that went on behind this part has its last block whole.
    if (full_ < end_ && !blocks_.back()) RETURN_IF_ERROR(LoadTail());
    for (uint64_t number = first_; number < end_; ++number) {
      Place(number, std::move(blocks_[number - first_]));
    }
    return absl::OkStatus();
  }

  // Takes what other sessions have in memory; false when a block is not there.
  bool Borrow(const Shared<RowBlock>& shared) {
    for (uint64_t number = first_; number < end_; ++number) {
      blocks_.push_back(shared.Find(part_.uid, number));
      // Who lent a blank one forgot all of it; rows that we remember may only
      // be missing.
      if (!blocks_.back() || (blocks_.back()->blank() && !Forgotten(number))) {
        blocks_.clear();
        return false;
      }
    }
    for (uint64_t number = first_; number < end_; ++number) {
      Place(number, std::move(blocks_[number - first_]));
    }
    return true;
  }

  void Lend(Shared<RowBlock>& shared) const {
    for (uint64_t number = on_blank_ ? first_ + 1 : first_; number < end_;
         ++number) {
      shared.Lend(part_.uid, number, rows_[number]);
    }
  }

  std::vector<uint64_t> TakeTails() { return std::move(tails_); }

 private:
  void Place(uint64_t number, std::shared_ptr<RowBlock> block) {
    if (number < rows_.size()) {
      rows_[number] = std::move(block);
    } else {
      rows_.push_back(std::move(block));
    }
  }

  absl::Status CheckLast() const {
    const auto last = store_.Read(PositionsKey(part_.uid, full_ - 1));
    if (!absl::IsNotFound(last.status())) return last.status();
    return Missing({(full_ - 1) * kBlockTokens, full_ * kBlockTokens},
                   "positions are missing");
  }

  // Where full blocks end for certain: of a trunk, the last may be full too.
  uint64_t ScanEnd() const { return part_.own ? full_ : end_; }

  absl::Status LoadPositions() {
    uint64_t next = first_;
    // Its own part has no record behind the log; a trunk may.
    const std::string end =
        part_.own ? AllOf(part_.uid, RecordKind::kPositions).second
                  : PositionsKey(part_.uid, end_);
    RETURN_IF_ERROR(ScanRecords(
        store_, {PositionsKey(part_.uid, first_), end}, RecordKind::kPositions,
        [&](std::string_view key, std::string_view payload) {
          if (next == ScanEnd() || key != PositionsKey(part_.uid, next)) {
            return false;
          }
          auto block = std::make_shared<RowBlock>(profile_);
          if (payload.size() != block->positions().size_bytes()) return false;
          std::memcpy(block->positions().data(), payload.data(),
                      payload.size());
          blocks_[next++ - first_] = std::move(block);
          return true;
        }));
    if (next >= full_) return absl::OkStatus();
    return Missing({next * kBlockTokens, full_ * kBlockTokens},
                   absl::StrCat("positions of ", next, " of ", full_,
                                " full blocks are there"));
  }

  absl::Status LoadBlocks() {
    const size_t key_bytes = kBlockTokens * profile_.key_bytes();
    const size_t value_bytes = kBlockTokens * profile_.value_bytes();
    uint64_t number = first_;
    uint32_t bank = 0;
    const std::string end = part_.own
                                ? AllOf(part_.uid, RecordKind::kRows).second
                                : RowsKey(part_.uid, end_, 0);
    RETURN_IF_ERROR(ScanRecords(
        store_, {RowsKey(part_.uid, first_, 0), end}, RecordKind::kRows,
        [&](std::string_view key, std::string_view payload) {
          while (bank == 0 && number < ScanEnd() &&
                 key != RowsKey(part_.uid, number, 0) && Forgotten(number)) {
            Blank(number++);
          }
          if (number == ScanEnd() || key != RowsKey(part_.uid, number, bank) ||
              payload.size() != key_bytes + value_bytes ||
              !blocks_[number - first_]) {
            return false;
          }
          RowBlock& block = *blocks_[number - first_];
          std::memcpy(block.keys(bank), payload.data(), key_bytes);
          std::memcpy(block.values(bank), payload.data() + key_bytes,
                      value_bytes);
          if (++bank == profile_.bank_count()) {
            bank = 0;
            ++number;
          }
          return true;
        }));
    const bool last_is_whole = full_ < end_ && blocks_.back();
    const uint64_t needed = last_is_whole ? end_ : full_;
    while (bank == 0 && number < needed && Forgotten(number)) Blank(number++);
    if (bank == 0 && number >= needed) return absl::OkStatus();
    return Missing({number * kBlockTokens, part_.seqs.end}, "rows are missing");
  }

  bool Forgotten(uint64_t number) const {
    const SeqRange read = Intersect(RangeOfBlock(number), {0, part_.seqs.end});
    return forgotten_.CountIn(read) == read.size();
  }

  // The block's rows were erased with the last session that knew them.
  void Blank(uint64_t number) {
    std::shared_ptr<RowBlock>& block = blocks_[number - first_];
    if (block) block = RowBlock::Blank(profile_, *block);
  }

  // The tokens of the block that is not full.
  absl::Status LoadTail() {
    uint64_t at = std::max(part_.seqs.begin, full_ * kBlockTokens);
    const uint64_t begin = full_ * kBlockTokens;
    on_blank_ = full_ < rows_.size() && rows_[full_]->blank();
    auto block = full_ < rows_.size()
                     ? RowBlock::Begun(profile_, *rows_[full_], at - begin)
                     : std::make_shared<RowBlock>(profile_);
    // A trunk's is lent to those who remember more.
    if (part_.own) ClearForgotten({begin, at}, forgotten_, *block);
    // A trunk may have gone on behind this part.
    const uint64_t last =
        part_.own ? part_.seqs.end : RangeOfBlock(full_).end - 1;
    RETURN_IF_ERROR(ScanRecords(
        store_,
        {TailKey(part_.uid, at), AllOf(part_.uid, RecordKind::kTail).second},
        RecordKind::kTail, [&](std::string_view key, std::string_view payload) {
          base::ByteReader in(payload);
          const auto count = in.Number<uint32_t>();
          if (count == 0 || count > last - at ||
              key != TailKey(part_.uid, at) ||
              in.left() != count * (sizeof(int64_t) + profile_.token_bytes())) {
            return false;
          }
          ReadTail(in, at % kBlockTokens, count, *block);
          tails_.push_back(at);
          at += count;
          return true;
        }));
    if (at < part_.seqs.end) {
      return Missing({at, part_.seqs.end}, "the tail is cut short");
    }
    blocks_.back() = std::move(block);
    return absl::OkStatus();
  }

  void ReadTail(base::ByteReader& in, size_t first, size_t count,
                RowBlock& block) const {
    for (size_t i = 0; i < count; ++i) {
      block.positions()[first + i] = in.Number<int64_t>();
    }
    const auto copy = [&](std::byte* to, size_t bytes) {
      std::memcpy(to, in.Raw(bytes).data(), bytes);
    };
    for (size_t bank = 0; bank < profile_.bank_count(); ++bank) {
      copy(block.keys(bank) + first * profile_.key_bytes(),
           count * profile_.key_bytes());
      copy(block.values(bank) + first * profile_.value_bytes(),
           count * profile_.value_bytes());
    }
  }

  const Store& store_;
  const Profile& profile_;
  const Branch::Part& part_;
  const SeqSet& forgotten_;
  RowBlocks& rows_;
  const uint64_t first_;  // Blocks [first_, end_), of which those below full_
  const uint64_t end_;    // are full.
  const uint64_t full_;
  std::vector<std::shared_ptr<RowBlock>> blocks_;
  std::vector<uint64_t> tails_;
  bool on_blank_ = false;  // Its first block goes on behind a blank one.
};

}  // namespace

absl::StatusOr<LoadedRows> LoadRows(const Store& store, const Profile& profile,
                                    const Branch& branch, uint64_t seq_next,
                                    const SeqSet& forgotten,
                                    Shared<RowBlock>& shared) {
  LoadedRows loaded{.rows = std::make_shared<RowBlocks>(), .tails = {}};
  if (seq_next < branch.seq_begin()) {
    return Missing({seq_next, branch.seq_begin()},
                   "the log ends before its fork");
  }
  for (const Branch::Part& part : branch.Parts(seq_next)) {
    PartLoader loader(store, profile, part, forgotten, *loaded.rows);
    if (part.own) {
      if (part.seqs.empty() && !branch.trunks.empty()) break;
      RETURN_IF_ERROR(loader.Load());
      loaded.tails = loader.TakeTails();
    } else if (!loader.Borrow(shared)) {
      RETURN_IF_ERROR(loader.Load());
      loader.Lend(shared);
    }
  }
  loaded.borrowed =
      seq_next == branch.seq_begin() && seq_next % kBlockTokens != 0;
  return loaded;
}

}  // namespace mneme::memory
