#include "memory/sealing.h"

#include <algorithm>
#include <map>
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

// Payload: first seq, bank and forgotten tokens, then the index.
std::string EncodeSegment(const Segment& segment, uint32_t bank) {
  base::ByteWriter out;
  out.Number(segment.range.begin);
  out.Number(bank);
  out.Number(segment.forgotten_tokens);
  out.Raw(EncodeSegmentIndex(segment.banks[bank]));
  return out.Take();
}

// Puts the banks of a segment, which come in order, together.
class SegmentLoader {
 public:
  // Of segments that end at or below `seq_end`.
  SegmentLoader(const Profile& profile, uint64_t seq_end)
      : profile_(profile), seq_end_(seq_end) {}

  void Add(std::string_view payload) {
    base::ByteReader in(payload);
    const auto begin = in.Number<uint64_t>();
    const auto bank = in.Number<uint32_t>();
    const auto forgotten_tokens = in.Number<uint64_t>();
    if (bank == 0) {
      building_ = Segment{.range = {begin, begin + kSealTokens},
                          .forgotten_tokens = forgotten_tokens,
                          .banks = {}};
    }
    SegmentIndex index;
    // A hole among the banks leaves the segment incomplete, and it is dropped.
    if (!in.ok() || begin % kSealTokens != 0 ||
        begin != building_.range.begin || begin > seq_end_ ||
        seq_end_ - begin < kSealTokens || bank != building_.banks.size() ||
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
  const uint64_t seq_end_;
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

void ReadRun(const LogView& view, SeqRange run, size_t bank, KeyReader& reader,
             float* keys) {
  const size_t dim = view.profile->key_dim;
  ForEachSlice(*view.rows, run, [&](const BlockSlice& slice) {
    const float* rows = reader.Keys(slice, bank);
    std::copy(rows, rows + slice.count * dim,
              keys + (slice.seq_first - run.begin) * dim);
    return true;
  });
  // Whether their rows have been erased already or not.
  view.forgotten->ForEachRun(run, [&](SeqRange gone) {
    std::fill_n(keys + (gone.begin - run.begin) * dim, gone.size() * dim, 0.0F);
  });
}

absl::StatusOr<std::shared_ptr<const Segment>> BuildSegment(
    const LogView& view, const attention::PositionEncoder& positions,
    SeqRange run, const Cancelled& cancelled) {
  const Profile& profile = *view.profile;
  auto segment = std::make_shared<Segment>();
  segment->range = run;
  segment->forgotten_tokens = view.forgotten->CountIn(run);
  KeyReader reader(profile, positions,
                   FormOf(profile.knn->positions, profile.knn->dtype));
  std::vector<float> keys(run.size() * profile.key_dim);
  for (size_t bank = 0; bank < profile.bank_count(); ++bank) {
    if (cancelled()) return absl::CancelledError("sealing was stopped");
    ReadRun(view, run, bank, reader, keys.data());
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

SegmentList LoadSegments(const Store& store, const Branch& branch,
                         const Profile& profile, uint64_t seq_next,
                         const SeqSet& forgotten) {
  std::map<uint64_t, std::shared_ptr<const Segment>> found;
  for (const Branch::Part& part : branch.Parts(seq_next)) {
    SegmentLoader loader(profile, part.seqs.end);
    const KeyRange range = AllOf(part.uid, RecordKind::kSegment);
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
    for (auto& segment : loader.Take()) {
      const SeqRange seqs = segment->range;
      if (segment->forgotten_tokens == forgotten.CountIn(seqs)) {
        found[seqs.begin] = std::move(segment);
      }
    }
  }
  SegmentList list;
  for (auto& entry : found) list.push_back(std::move(entry.second));
  return list;
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
