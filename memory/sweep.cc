#include "memory/sweep.h"

#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/status_macros.h"
#include "memory/records.h"
#include "memory/requests.h"
#include "memory/row_records.h"
#include "memory/rows.h"
#include "memory/segments.h"
#include "memory/text_index.h"

namespace mneme::memory {
namespace {

// Bytes of records that are read before what changed is written.
constexpr size_t kPieceBytes = 16 << 20;

class Sweep {
 public:
  Sweep(uint64_t uid, const Profile& profile, const SeqSet& remembered,
        uint64_t seq_end, const Cancelled& cancelled, Store& store)
      : uid_(uid),
        profile_(profile),
        remembered_(remembered),
        seq_end_(seq_end),
        cancelled_(cancelled),
        store_(store) {}

  absl::Status Run() {
    std::vector<SeqRange> gaps;
    // Block numbers must not overflow.
    remembered_.ForEachGap(
        {0, std::numeric_limits<uint64_t>::max() - kBlockTokens},
        [&](SeqRange gap) { gaps.push_back(gap); });
    for (const SeqRange gap : gaps) RETURN_IF_ERROR(SweepRows(gap));
    RETURN_IF_ERROR(SweepKind(RecordKind::kTail));
    RETURN_IF_ERROR(SweepKind(RecordKind::kEntry));
    RETURN_IF_ERROR(SweepKind(RecordKind::kRequest));
    RETURN_IF_ERROR(SweepKind(RecordKind::kCheckpoint));
    return SweepKind(RecordKind::kSegment);
  }

 private:
  absl::Status SweepRows(SeqRange gap) {
    const uint64_t begin = gap.begin / kBlockTokens;
    const uint64_t end = (gap.end + kBlockTokens - 1) / kBlockTokens;
    RETURN_IF_ERROR(SweepRange(
        RecordKind::kRows, {RowsKey(uid_, begin, 0), RowsKey(uid_, end, 0)}));
    return SweepRange(RecordKind::kPositions,
                      {PositionsKey(uid_, begin), PositionsKey(uid_, end)});
  }

  absl::Status SweepKind(RecordKind kind) {
    return SweepRange(kind, AllOf(uid_, kind));
  }

  // Piece by piece, so that neither memory nor a batch grows with the trunk.
  absl::Status SweepRange(RecordKind kind, KeyRange range) {
    for (bool more = true; more;) {
      if (cancelled_()) return absl::CancelledError("sweeping was stopped");
      WriteBatch batch;
      size_t bytes = 0;
      more = false;
      RETURN_IF_ERROR(
          store_.Scan(range.first, range.second,
                      [&](std::string_view key, std::string_view record) {
                        if (bytes >= kPieceBytes) {
                          range.first = key;
                          more = true;
                          return false;
                        }
                        bytes += record.size();
                        // What is not sound tells nothing to anybody.
                        const auto payload = OpenRecord(kind, key, record);
                        if (payload.ok())
                          SweepRecord(kind, key, *payload, batch);
                        return true;
                      }));
      if (batch.operations.empty()) continue;
      RETURN_IF_ERROR(store_.Write(batch, /*sync=*/true));
    }
    return absl::OkStatus();
  }

  void SweepRecord(RecordKind kind, std::string_view key,
                   std::string_view payload, WriteBatch& batch) const {
    switch (kind) {
      case RecordKind::kRows:
        return SweepBlock(key, payload, batch);
      case RecordKind::kPositions:
        // Sessions look for the positions of blocks that they forgot.
        if (NumberIn(key) * kBlockTokens >= seq_end_) {
          batch.Delete(std::string(key));
        }
        return;
      case RecordKind::kTail:
        return SweepTail(key, payload, batch);
      case RecordKind::kEntry:
        return SweepEntry(key, payload, batch);
      case RecordKind::kRequest: {
        const auto appended = AppendedBy(payload);
        if (appended && remembered_.CountIn(*appended) == 0) {
          batch.Delete(std::string(key));
        }
        return;
      }
      case RecordKind::kCheckpoint:
      case RecordKind::kSegment:
        return SweepDerived(kind, key, payload, batch);
      default:
        return;
    }
  }

  void SweepBlock(std::string_view key, std::string_view payload,
                  WriteBatch& batch) const {
    const uint64_t first = NumberIn(key) * kBlockTokens;
    const SeqRange covered{first, first + kBlockTokens};
    if (remembered_.CountIn(covered) == 0) {
      batch.Delete(std::string(key));
      return;
    }
    std::string rows(payload);
    ClearForgotten(RecordKind::kRows, NumberIn(key), profile_, remembered_,
                   rows);
    if (rows == payload) return;
    PutRecord(RecordKind::kRows, std::string(key), rows, batch);
  }

  void SweepTail(std::string_view key, std::string_view payload,
                 WriteBatch& batch) const {
    if (NumberIn(key) >= seq_end_) {
      batch.Delete(std::string(key));
      return;
    }
    std::string rows(payload);
    ClearForgotten(RecordKind::kTail, NumberIn(key), profile_, remembered_,
                   rows);
    if (rows == payload) return;
    PutRecord(RecordKind::kTail, std::string(key), rows, batch);
  }

  void SweepEntry(std::string_view key, std::string_view payload,
                  WriteBatch& batch) const {
    Entry entry;
    if (!DecodeEntry(payload, entry) || remembered_.Contains(entry.seq_first)) {
      return;
    }
    batch.Delete(std::string(key));
    batch.Delete(LexicalKey(uid_, entry.number));
  }

  // Sums over tokens that nobody may remember any more.
  void SweepDerived(RecordKind kind, std::string_view key,
                    std::string_view payload, WriteBatch& batch) const {
    base::ByteReader in(payload);
    const auto seq = in.Number<uint64_t>();
    const bool is_segment = kind == RecordKind::kSegment;
    if (is_segment) in.Number<uint32_t>();  // The bank.
    const auto left_out = in.Number<uint64_t>();
    const SeqRange summed =
        is_segment ? SeqRange{seq, seq + kSealTokens} : SeqRange{0, seq};
    if (summed.size() - remembered_.CountIn(summed) > left_out) {
      batch.Delete(std::string(key));
    }
  }

  const uint64_t uid_;
  const Profile& profile_;
  const SeqSet& remembered_;
  const uint64_t seq_end_;
  const Cancelled& cancelled_;
  Store& store_;
};

}  // namespace

absl::Status SweepTrunk(uint64_t uid, const Profile& profile,
                        const SeqSet& remembered, uint64_t seq_end,
                        const Cancelled& cancelled, Store& store) {
  return Sweep(uid, profile, remembered, seq_end, cancelled, store).Run();
}

}  // namespace mneme::memory
