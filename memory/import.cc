#include "memory/import.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "memory/entries.h"
#include "memory/forgotten.h"
#include "memory/intake.h"
#include "memory/keys.h"
#include "memory/row_records.h"

namespace mneme::memory {
namespace {

// Large enough to be fast, small enough to be held beside what is received.
constexpr size_t kBatchBytes = 4 << 20;

absl::Status WrongPayload(std::string_view given, std::string_view expected) {
  return base::Error(
      absl::StatusCode::kFailedPrecondition,
      absl::StrCat("got ", std::string(given), "; expected ",
                   std::string(expected), ", by the manifest's profile"),
      {.reason = "WRONG_PAYLOAD"});
}

absl::Status Bad(std::string_view field, uint64_t given,
                 const std::string& expected) {
  return base::InvalidField(field, absl::StrCat(given), expected);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SessionImport>> SessionImport::Start(
    Store* store, SessionRecord record, const Manifest& manifest) {
  RETURN_IF_ERROR(CheckManifest(manifest));
  return std::unique_ptr<SessionImport>(
      new SessionImport(store, std::move(record), manifest));
}

SessionImport::SessionImport(Store* store, SessionRecord record,
                             const Manifest& manifest)
    : store_(store), record_(std::move(record)), manifest_(manifest) {}

SessionImport::~SessionImport() {
  if (finished_) return;
  WriteBatch batch;
  const KeyRange records = AllOf(record_.branch.uid);
  batch.DeleteRange(records.first, records.second);
  batch.Delete(ImportKey(record_.branch.uid));
  const absl::Status deleted = store_->Write(batch, /*sync=*/false);
  if (!deleted.ok()) {  // The next opening tries again.
    base::Log(base::LogLevel::kWarning, "import_left",
              {{"session", record_.header.name.ToString()},
               {"error", std::string(deleted.message())}});
  }
}

absl::Status SessionImport::AddEntry(const Entry& entry,
                                     const Cancelled& cancelled) {
  if (!manifest_.is_text()) return WrongPayload("an entry", "tokens");
  if (entry.number < head_.entry_next || entry.number >= kNumberMax) {
    return Bad("entry.entry", entry.number,
               absl::StrCat(head_.entry_next, " to 2^53: numbers ascend"));
  }
  if (entry.seq_first < head_.seq_next || entry.seq_first > kNumberMax) {
    return Bad("entry.seq_first", entry.seq_first,
               absl::StrCat("at least ", head_.seq_next,
                            ", where the entry before ends"));
  }
  const TextEntry text{.text = entry.text,
                       .role = entry.role,
                       .time_us = entry.time_us,
                       .source = entry.source,
                       .source_offset = entry.source_offset,
                       .metadata = entry.metadata};
  RETURN_IF_ERROR(CheckText(text));
  const PreparedText prepared =
      PrepareText(record_.header.profile, text_encoder_, text);
  if (prepared.rows == 0 || prepared.rows != entry.seq_count) {
    return Bad("entry.seq_count", entry.seq_count,
               prepared.rows == 0
                   ? std::string("a text that is not only white space")
                   : absl::StrCat(prepared.rows,
                                  ", as this release cuts the entry's text"));
  }
  RETURN_IF_ERROR(SkipTo(entry.seq_first, cancelled));
  ASSIGN_OR_RETURN(const auto positions,
                   PositionsFor({}, prepared.rows, head_.position_next));
  RETURN_IF_ERROR(Put(positions, prepared.keys, prepared.keys));
  PutEntry(record_.branch.uid, entry, prepared.terms, batch_);
  head_.tokens += prepared.rows;
  ++head_.entries;
  head_.entry_bytes += BytesOf(entry);
  head_.entry_next = entry.number + 1;
  return Flush(kBatchBytes);
}

absl::Status SessionImport::AddRows(uint64_t seq_first, const TokenRows& rows,
                                    std::span<const SeqRange> forgotten) {
  if (manifest_.is_text()) return WrongPayload("tokens", "an entry");
  RETURN_IF_ERROR(CheckRows(seq_first, rows, forgotten));
  RETURN_IF_ERROR(
      PositionsFor(rows.positions, rows.count, head_.position_next).status());
  head_.tokens += rows.count;
  for (const SeqRange& range : forgotten) {
    PutForgotten(record_.branch.uid, {.seqs = range, .probes = {}}, batch_);
    head_.tokens -= range.size();
  }
  if (forgotten.empty()) {
    RETURN_IF_ERROR(Put(rows.positions, rows.keys, rows.values));
    return Flush(kBatchBytes);
  }
  // What was forgotten is zeros, whatever was sent.
  std::string keys(rows.keys);
  std::string values(rows.values);
  const Profile& profile = record_.header.profile;
  for (size_t bank = 0; bank < profile.bank_count(); ++bank) {
    for (const SeqRange& range : forgotten) {
      const uint64_t row = bank * rows.count + (range.begin - seq_first);
      std::memset(keys.data() + row * profile.key_bytes(), 0,
                  range.size() * profile.key_bytes());
      std::memset(values.data() + row * profile.value_bytes(), 0,
                  range.size() * profile.value_bytes());
    }
  }
  RETURN_IF_ERROR(Put(rows.positions, keys, values));
  return Flush(kBatchBytes);
}

absl::Status SessionImport::CheckRows(
    uint64_t seq_first, const TokenRows& rows,
    std::span<const SeqRange> forgotten) const {
  if (seq_first != head_.seq_next) {
    return Bad("tokens.seq_first", seq_first,
               absl::StrCat(head_.seq_next, ", where the tokens before end"));
  }
  RETURN_IF_ERROR(CheckTokens(record_.header.profile, rows));
  if (rows.positions.size() != rows.count) {
    return Bad("tokens.positions", rows.positions.size(),
               absl::StrCat("one for each of ", rows.count, " tokens"));
  }
  if (rows.count > manifest_.seq_next - head_.seq_next) {
    return Bad("tokens.keys", rows.count,
               absl::StrCat("at most ", manifest_.seq_next - head_.seq_next,
                            " tokens: the manifest's log ends there"));
  }
  uint64_t at = seq_first;
  for (const SeqRange& range : forgotten) {
    if (range.begin < at || range.empty() ||
        range.end > seq_first + rows.count) {
      return base::InvalidField("tokens.forgotten",
                                absl::StrCat(range.begin, " to ", range.end),
                                absl::StrCat("ranges that ascend from ", at,
                                             " to ", seq_first + rows.count));
    }
    at = range.end;
  }
  return absl::OkStatus();
}

absl::Status SessionImport::End(uint64_t entries, uint64_t tokens,
                                const Cancelled& cancelled) {
  if (entries != head_.entries) {
    return Bad("end.entries", entries,
               absl::StrCat(head_.entries, ", which were sent"));
  }
  if (tokens != head_.tokens) {
    return Bad("end.tokens", tokens,
               absl::StrCat(head_.tokens, ", which were sent"));
  }
  if (manifest_.is_text()) {
    RETURN_IF_ERROR(SkipTo(manifest_.seq_next, cancelled));
  } else if (head_.seq_next != manifest_.seq_next) {
    return Bad("manifest.seq_next", manifest_.seq_next,
               absl::StrCat(head_.seq_next, ", where the tokens ended"));
  }
  if (head_.position_next != manifest_.position_next) {
    return Bad("manifest.position_next", manifest_.position_next,
               absl::StrCat(head_.position_next, ", behind the last token"));
  }
  if (head_.entry_next > manifest_.entry_next) {
    return Bad(
        "manifest.entry_next", manifest_.entry_next,
        absl::StrCat("at least ", head_.entry_next, ", behind the last entry"));
  }
  head_.entry_next = manifest_.entry_next;
  head_.committed_seq = manifest_.committed_seq;
  return Flush(0);
}

WriteBatch SessionImport::TakeLast(int64_t now_us) {
  head_.update_time_us = now_us;
  const uint64_t tail = head_.seq_next % kBlockTokens;
  if (tail > 0) {
    PutTail(record_.branch.uid, record_.header.profile, *block_,
            head_.seq_next - tail, tail, batch_);
  }
  PutHead(record_.branch.uid, head_, batch_);
  batch_.Delete(ImportKey(record_.branch.uid));
  return std::exchange(batch_, {});
}

absl::Status SessionImport::Put(std::span<const int64_t> positions,
                                std::string_view keys,
                                std::string_view values) {
  const size_t key_bytes = record_.header.profile.key_bytes();
  const size_t value_bytes = record_.header.profile.value_bytes();
  for (size_t done = 0; done < positions.size();) {
    const size_t first = head_.seq_next % kBlockTokens;
    const size_t count =
        std::min(kBlockTokens - first, positions.size() - done);
    if (!block_) block_ = std::make_unique<RowBlock>(record_.header.profile);
    for (size_t bank = 0; bank < record_.header.profile.bank_count(); ++bank) {
      const size_t row = bank * positions.size() + done;
      std::memcpy(block_->keys(bank) + first * key_bytes,
                  keys.data() + row * key_bytes, count * key_bytes);
      std::memcpy(block_->values(bank) + first * value_bytes,
                  values.data() + row * value_bytes, count * value_bytes);
    }
    std::copy_n(positions.begin() + done, count,
                block_->positions().begin() + first);
    head_.seq_next += count;
    head_.position_next = positions[done + count - 1] + 1;
    if (first + count == kBlockTokens) {
      PutBlock(record_.branch.uid, record_.header.profile, *block_,
               (head_.seq_next - 1) / kBlockTokens, batch_);
      block_.reset();
      RETURN_IF_ERROR(Flush(kBatchBytes));
    }
    done += count;
  }
  return absl::OkStatus();
}

absl::Status SessionImport::SkipTo(uint64_t seq, const Cancelled& cancelled) {
  const SeqRange gap{head_.seq_next, seq};
  if (gap.empty()) return absl::OkStatus();
  gap_tokens_ += gap.size();
  if (gap_tokens_ > kGapTokensMax) {
    return base::Error(
        absl::StatusCode::kResourceExhausted,
        absl::StrCat("got ", gap_tokens_,
                     " forgotten tokens between entries; at most ",
                     kGapTokensMax, " are imported"),
        {.reason = "GAP_TOO_LARGE", .field = "entry.seq_first"});
  }
  PutForgotten(record_.branch.uid, {.seqs = gap, .probes = {}}, batch_);
  const Profile& profile = record_.header.profile;
  const std::string zeros(
      profile.bank_count() * kBlockTokens *
          std::max(profile.key_bytes(), profile.value_bytes()),
      '\0');
  while (head_.seq_next < seq) {
    if (cancelled()) return absl::CancelledError("the caller is gone");
    const size_t count = std::min<uint64_t>(
        kBlockTokens - head_.seq_next % kBlockTokens, seq - head_.seq_next);
    ASSIGN_OR_RETURN(const auto positions,
                     PositionsFor({}, count, head_.position_next));
    if (count < kBlockTokens) {
      RETURN_IF_ERROR(Put(positions, zeros, zeros));
      continue;
    }
    PutPositions(record_.branch.uid, positions, head_.seq_next / kBlockTokens,
                 batch_);
    head_.seq_next += count;
    head_.position_next = positions.back() + 1;
    RETURN_IF_ERROR(Flush(kBatchBytes));
  }
  return absl::OkStatus();
}

absl::Status SessionImport::Flush(size_t bytes_min) {
  for (; counted_ < batch_.operations.size(); ++counted_) {
    const WriteBatch::Operation& operation = batch_.operations[counted_];
    batch_bytes_ += operation.key.size() + operation.value.size();
  }
  if (counted_ == 0 || batch_bytes_ < bytes_min) return absl::OkStatus();
  counted_ = 0;
  batch_bytes_ = 0;
  // The last write is synced, and this one with it.
  return store_->Write(std::exchange(batch_, {}), /*sync=*/false);
}

}  // namespace mneme::memory
