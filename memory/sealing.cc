#include "memory/sealing.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "memory/key_reader.h"
#include "memory/knn_search.h"
#include "memory/records.h"

namespace mneme::memory {
namespace {

// Payload: first seq and bank, then the index.
std::string EncodeSegment(const Segment& segment, uint32_t bank) {
  base::ByteWriter out;
  out.Number(segment.range.begin);
  out.Number(bank);
  out.Raw(EncodeSegmentIndex(segment.banks[bank]));
  return out.Take();
}

// Puts the banks of a segment, which come in order, together.
class SegmentLoader {
 public:
  SegmentLoader(const Profile& profile, uint64_t seq_next)
      : profile_(profile), seq_next_(seq_next) {}

  void Add(std::string_view payload) {
    base::ByteReader in(payload);
    const auto begin = in.Number<uint64_t>();
    const auto bank = in.Number<uint32_t>();
    if (bank == 0) {
      building_ = Segment{.range = {begin, begin + kSealTokens}, .banks = {}};
    }
    SegmentIndex index;
    // A hole among the banks leaves the segment incomplete, and it is dropped.
    if (!in.ok() || begin % kSealTokens != 0 ||
        begin != building_.range.begin || begin > seq_next_ ||
        seq_next_ - begin < kSealTokens || bank != building_.banks.size() ||
        !DecodeSegmentIndex(in.Raw(in.left()), kSealTokens, profile_.key_dim,
                            index)) {
      return;
    }
    building_.banks.push_back(std::move(index));
    if (building_.banks.size() == profile_.bank_count()) {
      segments_.push_back(
          std::make_shared<const Segment>(std::move(building_)));
    }
  }
  SegmentList Take() { return std::move(segments_); }

 private:
  const Profile& profile_;
  const uint64_t seq_next_;
  Segment building_;
  SegmentList segments_;
};

}  // namespace

std::optional<SeqRange> NextRun(const LogView& view) {
  const Profile& profile = *view.profile;
  if (!profile.knn || !Indexable(profile)) return std::nullopt;
  const SeqRange knn = view.ranges().knn;
  uint64_t begin = (knn.begin + kSealTokens - 1) / kSealTokens * kSealTokens;
  for (const auto& segment : *view.segments) {
    if (segment->range.begin == begin) begin = segment->range.end;
  }
  if (begin + kSealTokens > knn.end) return std::nullopt;
  return SeqRange{begin, begin + kSealTokens};
}

absl::StatusOr<std::shared_ptr<const Segment>> BuildSegment(
    const LogView& view, const attention::PositionEncoder& positions,
    SeqRange run, const Cancelled& cancelled) {
  const Profile& profile = *view.profile;
  auto segment = std::make_shared<Segment>();
  segment->range = run;
  KeyReader reader(profile, positions,
                   FormOf(profile.knn->positions, profile.knn->dtype));
  std::vector<float> keys(run.size() * profile.key_dim);
  for (size_t bank = 0; bank < profile.bank_count(); ++bank) {
    if (cancelled()) return absl::CancelledError("sealing was stopped");
    ForEachSlice(*view.rows, run, [&](const BlockSlice& slice) {
      const float* rows = reader.Keys(slice, bank);
      std::copy(rows, rows + slice.count * profile.key_dim,
                keys.data() + (slice.seq_first - run.begin) * profile.key_dim);
      return true;
    });
    ASSIGN_OR_RETURN(
        SegmentIndex index,
        BuildSegmentIndex(keys.data(), run.size(), profile.key_dim));
    segment->banks.push_back(std::move(index));
  }
  return segment;
}

void PutSegment(uint64_t uid, const Segment& segment, WriteBatch& batch) {
  for (uint32_t bank = 0; bank < segment.banks.size(); ++bank) {
    PutRecord(RecordKind::kSegment, SegmentKey(uid, segment.range.begin, bank),
              EncodeSegment(segment, bank), batch);
  }
}

void DeleteSegment(uint64_t uid, const Segment& segment, WriteBatch& batch) {
  for (uint32_t bank = 0; bank < segment.banks.size(); ++bank) {
    batch.Delete(SegmentKey(uid, segment.range.begin, bank));
  }
}

SegmentList LoadSegments(const Store& store, uint64_t uid,
                         const Profile& profile, uint64_t seq_next) {
  SegmentLoader loader(profile, seq_next);
  const KeyRange range = AllOf(uid, RecordKind::kSegment);
  const absl::Status scanned = store.Scan(
      range.first, range.second,
      [&](std::string_view key, std::string_view record) {
        const auto payload = OpenRecord(RecordKind::kSegment, key, record);
        if (payload.ok()) loader.Add(*payload);
        return true;
      });
  if (!scanned.ok()) {
    base::Log(base::LogLevel::kWarning, "segments_unreadable",
              {{"error", std::string(scanned.message())}});
  }
  return loader.Take();
}

std::shared_ptr<const SegmentList> WithSegment(
    const SegmentList& list, std::shared_ptr<const Segment> segment) {
  auto longer = std::make_shared<SegmentList>(list);
  const auto place = std::lower_bound(longer->begin(), longer->end(), segment,
                                      [](const auto& a, const auto& b) {
                                        return a->range.begin < b->range.begin;
                                      });
  longer->insert(place, std::move(segment));
  return longer;
}

}  // namespace mneme::memory
