#include "memory/knn_search.h"

#include <limits>
#include <utility>

#include "absl/status/status.h"

namespace mneme::memory {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Above this many rows a bank, one scan for all of them costs less than a
// search for each.
constexpr size_t kIndexedRowsMax = 16;

// Reading a cluster's scattered keys costs about five times a scan of as many,
// so a run is scanned when more than a fifth of its clusters may hold a key.
constexpr size_t kScanAbove = 5;

class Searcher {
 public:
  Searcher(const LogView& view, TierScorer& scorer, uint32_t kv_head, size_t k)
      : view_(view),
        scorer_(scorer),
        kv_head_(kv_head),
        best_(scorer.bank_rows(), TopK(k)),
        logits_(scorer.bank_rows() * kBlockTokens) {}

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
    const SegmentIndex& index = segment.banks[scorer_.BankOf(kv_head_)];
    const size_t dim = view_.profile->key_dim;
    std::vector<std::vector<std::pair<float, uint32_t>>> bounds(best_.size());
    size_t promising = 0;
    for (size_t row = 0; row < best_.size(); ++row) {
      if (cancelled()) return false;
      bounds[row] = index.Bounds(scorer_.Queries(kv_head_) + row * dim);
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
      for (const auto& [bound, cluster] : bounds[row]) {
        if (bound < best_[row].threshold()) break;
        ReadCluster(segment.range.begin, index.Members(cluster), row);
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
  void ScanSlice(const BlockSlice& slice) {
    scorer_.Score(slice, kv_head_, logits_.data());
    for (size_t row = 0; row < best_.size(); ++row) {
      const float* const logits = logits_.data() + row * slice.count;
      for (size_t i = 0; i < slice.count; ++i) {
        if (logits[i] == -kInfinity) continue;
        best_[row].Offer(logits[i], slice.seq_first + i);
      }
    }
  }

  void ReadCluster(uint64_t seq_begin, std::span<const uint32_t> members,
                   size_t row) {
    seqs_.clear();
    for (const uint32_t member : members) {
      const uint64_t seq = seq_begin + member;
      const int64_t position = PositionAt(*view_.rows, seq);
      if (position > scorer_.PositionOf(row) ||
          view_.forgotten->Contains(seq)) {
        continue;
      }
      seqs_.push_back(seq);
    }
    if (seqs_.empty()) return;
    gathered_.resize(seqs_.size());
    scorer_.ScoreTokens(seqs_, kv_head_, row, gathered_.data());
    for (size_t i = 0; i < seqs_.size(); ++i) {
      best_[row].Offer(gathered_[i], seqs_[i]);
    }
  }

  const LogView& view_;
  TierScorer& scorer_;
  const uint32_t kv_head_;
  std::vector<TopK> best_;
  std::vector<float> logits_;
  // Of one cluster.
  std::vector<uint64_t> seqs_;
  std::vector<float> gathered_;
};

}  // namespace

bool Indexable(const Profile& profile) {
  const KnnTier& knn = *profile.knn;
  if (knn.top_k == 0 || knn.chunk_tokens > 1 ||
      knn.scope != SelectionScope::kQueryHead || profile.logit_softcap > 0) {
    return false;
  }
  switch (knn.positions.policy) {
    case PositionPolicy::kConst:
    case PositionPolicy::kNone:
    case PositionPolicy::kLocalOrigin:
      return true;
    case PositionPolicy::kClamp:      // Keys of two forms.
    case PositionPolicy::kCacheRank:  // Ranks move with every append.
      return false;
    case PositionPolicy::kAbsolute:
      break;
  }
  switch (profile.position.family) {
    case attention::PositionFamily::kDynamicNtk:
    case attention::PositionFamily::kLongRope:
    case attention::PositionFamily::kXpos:
    case attention::PositionFamily::kAlibi:
    case attention::PositionFamily::kRelativeBias:
      return false;
    default:
      return true;
  }
}

absl::StatusOr<std::vector<std::vector<ScoredSeq>>> SearchTopK(
    const LogView& view, TierScorer& scorer, uint32_t kv_head, SeqRange range,
    size_t k, const Cancelled& cancelled) {
  Searcher searcher(view, scorer, kv_head, k);
  const bool indexed = scorer.bank_rows() <= kIndexedRowsMax;
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
