#include "memory/export.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "memory/rows.h"

namespace mneme::memory {
namespace {

Manifest ManifestOf(const SessionHeader& header, const Head& head,
                    int64_t ttl_us) {
  return {.profile = header.profile,
          .seq_next = head.seq_next,
          .position_next = head.position_next,
          .committed_seq = head.committed_seq,
          .entry_next = head.entry_next,
          .create_time_us = header.create_time_us,
          .update_time_us = head.update_time_us,
          .ttl_us = ttl_us};
}

// Copies live rows of one bank: `row_bytes` each, from a block to their place.
void CopyRows(const std::byte* block_rows, const BlockSlice& slice,
              SeqRange live, size_t row_bytes, uint64_t seq_first, char* out) {
  const size_t in_block = slice.first + (live.begin - slice.seq_first);
  std::memcpy(out + (live.begin - seq_first) * row_bytes,
              block_rows + in_block * row_bytes, live.size() * row_bytes);
}

}  // namespace

SessionExport::SessionExport(std::shared_ptr<const Session> session,
                             int64_t ttl_us)
    : SessionExport(session, session->TakeSnapshot(), ttl_us) {}

SessionExport::SessionExport(std::shared_ptr<const Session> session,
                             Session::Snapshot snapshot, int64_t ttl_us)
    : session_(std::move(session)),
      view_(std::move(snapshot.view)),
      manifest_(ManifestOf(session_->header(), snapshot.head, ttl_us)) {}

uint64_t SessionExport::entries() const {
  return view_->text ? view_->text->entry_count : 0;
}

std::shared_ptr<const Entry> SessionExport::NextEntry() {
  if (entry_at_ == entries()) return nullptr;
  return (*view_->text->entries)[entry_at_++];
}

std::optional<ExportedRows> SessionExport::NextRows(size_t bytes_max) {
  if (manifest_.is_text() || seq_at_ == view_->seq_next) return std::nullopt;
  const Profile& profile = manifest_.profile;
  const uint64_t fitting = std::max<uint64_t>(
      bytes_max / (profile.token_bytes() + sizeof(int64_t)), 1);
  const SeqRange range{seq_at_,
                       seq_at_ + std::min(fitting, view_->seq_next - seq_at_)};
  const uint64_t count = range.size();
  ExportedRows rows{.seq_first = range.begin};
  // What was forgotten is not read, wherever its bytes may still be.
  rows.keys.assign(profile.bank_count() * count * profile.key_bytes(), '\0');
  rows.values.assign(profile.bank_count() * count * profile.value_bytes(),
                     '\0');
  ForEachSlice(*view_->rows, range, [&](const BlockSlice& slice) {
    const auto positions =
        slice.block->positions().subspan(slice.first, slice.count);
    rows.positions.insert(rows.positions.end(), positions.begin(),
                          positions.end());
    const SeqRange piece{slice.seq_first, slice.seq_first + slice.count};
    view_->forgotten->ForEachGap(piece, [&](SeqRange live) {
      for (size_t bank = 0; bank < profile.bank_count(); ++bank) {
        CopyRows(slice.block->keys(bank), slice, live, profile.key_bytes(),
                 range.begin,
                 rows.keys.data() + bank * count * profile.key_bytes());
        CopyRows(slice.block->values(bank), slice, live, profile.value_bytes(),
                 range.begin,
                 rows.values.data() + bank * count * profile.value_bytes());
      }
    });
    return true;
  });
  uint64_t at = range.begin;
  const auto forget_to = [&](uint64_t end) {
    if (end > at) rows.forgotten.push_back({at, end});
  };
  view_->forgotten->ForEachGap(range, [&](SeqRange live) {
    forget_to(live.begin);
    at = live.end;
  });
  forget_to(range.end);
  seq_at_ = range.end;
  return rows;
}

}  // namespace mneme::memory
