#include "memory/knn_search.h"

#include <algorithm>

#include "absl/status/status.h"
#include "attention/dtype.h"
#include "attention/kernels.h"

namespace mneme::memory {
namespace {

// Above this many rows a bank, one scan for all of them costs less than a
// search for each.
constexpr size_t kIndexedRowsMax = 16;

// Reading a cluster's scattered keys costs about five times a scan of as many,
// so a run is scanned when more than a fifth of its clusters may hold a key.
constexpr size_t kScanAbove = 5;

class Searcher {
 public:
  Searcher(const LogView& view, const attention::PositionEncoder& encoder,
           PositionPolicy policy, size_t bank, size_t k,
           const BankQueries& rows)
      : view_(view),
        encoder_(encoder),
        policy_(policy),
        bank_(bank),
        rows_(rows),
        reader_(*view.profile, encoder),
        best_(rows.row_count(), TopK(k)),
        logits_(rows.row_count() * kBlockTokens) {}

  // False: cancelled.
  bool Scan(SeqRange range, const Cancelled& cancelled) {
    bool going = true;
    view_.forgotten->ForEachGap(range, [&](SeqRange live) {
      going = going && ForEachSlice(*view_.rows, live, [&](BlockSlice slice) {
                if (cancelled()) return false;
                ScanSlice(slice);
                return true;
              });
    });
    return going;
  }

  // Cluster by cluster where the bounds leave out most, else by a scan.
  bool SearchSegment(const Segment& segment, const Cancelled& cancelled) {
    const SegmentIndex& index = segment.banks[bank_];
    const size_t dim = view_.profile->key_dim;
    std::vector<std::vector<std::pair<float, uint32_t>>> bounds(best_.size());
    size_t promising = 0;
    for (size_t row = 0; row < best_.size(); ++row) {
      if (cancelled()) return false;
      bounds[row] = index.Bounds(rows_.queries + row * dim);
      for (const auto& [bound, cluster] : bounds[row]) {
        // An equal logit of an older token would still enter.
        if (bound < best_[row].threshold()) break;
        ++promising;
      }
    }
    if (promising * kScanAbove > best_.size() * index.cluster_count()) {
      return Scan(segment.range, cancelled);
    }
    for (size_t row = 0; row < best_.size(); ++row) {
      if (cancelled()) return false;
      const float* query = rows_.queries + row * dim;
      for (const auto& [bound, cluster] : bounds[row]) {
        if (bound < best_[row].threshold()) break;
        ReadCluster(segment.range.begin, index.Members(cluster), query, row);
      }
    }
    return true;
  }

  std::vector<std::vector<ScoredSeq>> Take() const {
    std::vector<std::vector<ScoredSeq>> sorted;
    sorted.reserve(best_.size());
    for (const TopK& best : best_) sorted.push_back(best.Sorted());
    return sorted;
  }

 private:
  int64_t PositionOf(size_t row) const {
    return rows_.positions[row % rows_.positions.size()];
  }

  void ScanSlice(const BlockSlice& slice) {
    const float* keys = reader_.Keys(slice, bank_, policy_);
    attention::DotRows(rows_.queries, rows_.row_count(), keys, slice.count,
                       view_.profile->key_dim, logits_.data());
    for (size_t row = 0; row < rows_.row_count(); ++row) {
      const size_t visible = VisibleCount(slice, PositionOf(row));
      float* logits = logits_.data() + row * slice.count;
      if (rows_.alibi != nullptr && policy_ == PositionPolicy::kAbsolute) {
        rows_.alibi->AddTo(
            static_cast<int>(rows_.head_first + row / rows_.positions.size()),
            PositionOf(row),
            slice.block->positions().subspan(slice.first, slice.count), logits);
      }
      for (size_t i = 0; i < visible; ++i) {
        best_[row].Offer(logits[i], slice.seq_first + i);
      }
    }
  }

  void ReadCluster(uint64_t seq_begin, std::span<const uint32_t> members,
                   const float* query, size_t row) {
    const Profile& profile = *view_.profile;
    seqs_.clear();
    positions_.clear();
    for (const uint32_t member : members) {
      const uint64_t seq = seq_begin + member;
      const RowBlock& block = *(*view_.rows)[seq / kBlockTokens];
      const int64_t position = block.positions()[seq % kBlockTokens];
      if (position > PositionOf(row) || view_.forgotten->Contains(seq)) {
        continue;
      }
      seqs_.push_back(seq);
      positions_.push_back(position);
    }
    keys_.resize(seqs_.size() * profile.key_dim);
    for (size_t i = 0; i < seqs_.size(); ++i) {
      const RowBlock& block = *(*view_.rows)[seqs_[i] / kBlockTokens];
      attention::ToFloat(
          profile.dtype,
          block.keys(bank_) + seqs_[i] % kBlockTokens * profile.key_bytes(),
          profile.key_dim, keys_.data() + i * profile.key_dim);
    }
    if (policy_ == PositionPolicy::kAbsolute && encoder_.rotary_dim() > 0) {
      cos_.resize(seqs_.size() * encoder_.rotary_dim() / 2);
      sin_.resize(cos_.size());
      encoder_.Angles(positions_, cos_.data(), sin_.data());
      encoder_.Rotate(keys_.data(), seqs_.size(), profile.key_dim, cos_.data(),
                      sin_.data());
    }
    gathered_.resize(seqs_.size());
    attention::DotRows(query, 1, keys_.data(), seqs_.size(), profile.key_dim,
                       gathered_.data());
    for (size_t i = 0; i < seqs_.size(); ++i) {
      best_[row].Offer(gathered_[i], seqs_[i]);
    }
  }

  const LogView& view_;
  const attention::PositionEncoder& encoder_;
  const PositionPolicy policy_;
  const size_t bank_;
  const BankQueries rows_;
  KeyReader reader_;
  std::vector<TopK> best_;
  std::vector<float> logits_;
  // Of one cluster.
  std::vector<uint64_t> seqs_;
  std::vector<int64_t> positions_;
  std::vector<float> keys_, cos_, sin_, gathered_;
};

}  // namespace

size_t VisibleCount(const BlockSlice& slice, int64_t position) {
  const auto positions =
      slice.block->positions().subspan(slice.first, slice.count);
  return std::upper_bound(positions.begin(), positions.end(), position) -
         positions.begin();
}

absl::StatusOr<std::vector<std::vector<ScoredSeq>>> SearchTopK(
    const LogView& view, const attention::PositionEncoder& encoder,
    PositionPolicy policy, size_t bank, SeqRange range, size_t k,
    const BankQueries& rows, const Cancelled& cancelled) {
  Searcher searcher(view, encoder, policy, bank, k, rows);
  const bool indexed = rows.row_count() <= kIndexedRowsMax;
  uint64_t scanned = range.begin;
  bool going = true;
  // The hot run first: its best keys let sealed runs stop early.
  for (const auto& segment : *view.segments) {
    if (!indexed || segment->range.begin < scanned ||
        segment->range.end > range.end) {
      continue;
    }
    going = going && searcher.Scan({scanned, segment->range.begin}, cancelled);
    scanned = segment->range.end;
  }
  going = going && searcher.Scan({scanned, range.end}, cancelled);
  for (const auto& segment : *view.segments) {
    if (!indexed || segment->range.begin < range.begin ||
        segment->range.end > range.end) {
      continue;
    }
    going = going && searcher.SearchSegment(*segment, cancelled);
  }
  if (!going) return absl::CancelledError("the caller is gone");
  return searcher.Take();
}

}  // namespace mneme::memory
