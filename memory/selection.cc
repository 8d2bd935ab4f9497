#include "memory/selection.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "memory/knn_search.h"

namespace mneme::memory {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Chunks that are scored at once.
constexpr uint64_t kChunkBatch = 64;

// log(sum(exp(logit))) of logits that come one by one.
class LogSum {
 public:
  void Add(float logit) {
    if (logit == -kInfinity) return;
    if (logit > largest_) {
      total_ *= std::exp(double{largest_} - logit);
      largest_ = logit;
    }
    total_ += std::exp(double{logit} - largest_);
  }
  double Get() const { return largest_ + std::log(total_); }

 private:
  float largest_ = -kInfinity;
  double total_ = 0;
};

// Units are tokens, numbered by seq, or chunks, by seq / chunk_tokens.
class Selector {
 public:
  Selector(const LogView& view, TierScorer& scorer, uint32_t kv_head,
           SeqRange range, const Cancelled& cancelled)
      : view_(view),
        knn_(*view.profile->knn),
        scorer_(scorer),
        kv_head_(kv_head),
        range_(range),
        cancelled_(cancelled),
        means_(*view.profile, scorer.encoder(), scorer.MeanForm()) {}

  absl::StatusOr<std::vector<std::vector<ScoredSeq>>> Run(size_t k) {
    const size_t units = k / knn_.chunk_tokens;
    const auto best = knn_.scope == SelectionScope::kKvGroup
                          ? BestOfGroup(units)
                          : BestOfHeads(units);
    RETURN_IF_ERROR(best.status());
    std::vector<std::vector<ScoredSeq>> chosen(scorer_.bank_rows());
    for (size_t row = 0; row < chosen.size(); ++row) {
      if (cancelled_()) return absl::CancelledError("the caller is gone");
      chosen[row] = Expanded((*best)[row], row);
    }
    return chosen;
  }

 private:
  using Best = std::vector<std::vector<ScoredSeq>>;  // [bank_rows]

  bool is_landmark() const { return knn_.chunk_score == ChunkScore::kLandmark; }

  // Calls visit(units, scores [bank_rows, units]) with every live unit,
  // -infinity where a row does not see it. False: cancelled.
  template <typename Visit>
  bool ForEachScore(Visit visit) {
    return knn_.chunk_tokens == 1 ? ForEachToken(visit) : ForEachChunk(visit);
  }

  template <typename Visit>
  bool ForEachToken(Visit visit) {
    std::vector<uint64_t> units;
    std::vector<float> scores(scorer_.bank_rows() * kBlockTokens);
    bool going = true;
    view_.forgotten->ForEachGap(range_, [&](SeqRange live) {
      going = going && ForEachSlice(*view_.rows, live, [&](BlockSlice slice) {
                if (cancelled_()) return false;
                scorer_.Score(slice, kv_head_, scores.data());
                units.clear();
                for (size_t i = 0; i < slice.count; ++i) {
                  units.push_back(slice.seq_first + i);
                }
                visit(std::span<const uint64_t>(units), scores.data());
                return true;
              });
    });
    return going;
  }

  template <typename Visit>
  bool ForEachChunk(Visit visit) {
    const uint64_t tokens = knn_.chunk_tokens;
    const uint64_t end = (range_.end + tokens - 1) / tokens;
    for (uint64_t first = range_.begin / tokens; first < end;
         first += kChunkBatch) {
      if (cancelled_()) return false;
      std::vector<uint64_t> units;
      std::vector<uint64_t> lasts;  // The last token of each.
      std::vector<float> means;
      for (uint64_t c = first; c < std::min(first + kChunkBatch, end); ++c) {
        const std::vector<uint64_t> seqs = TokensOf(c);
        if (seqs.empty()) continue;
        if (is_landmark() && !view_.profile->IsLandmark(seqs.back())) continue;
        units.push_back(c);
        lasts.push_back(seqs.back());
        if (!is_landmark()) AddMean(seqs, means);
      }
      if (units.empty()) continue;
      std::vector<float> scores(scorer_.bank_rows() * units.size());
      std::vector<int64_t> positions;
      positions.reserve(lasts.size());
      for (const uint64_t last : lasts)
        positions.push_back(PositionAt(*view_.rows, last));
      if (is_landmark()) {
        scorer_.ScoreTokens(lasts, kv_head_, scores.data());
      } else {
        scorer_.ScoreMeans(means.data(), positions, kv_head_, scores.data());
      }
      for (size_t row = 0; row < scorer_.bank_rows(); ++row) {
        for (size_t i = 0; i < units.size(); ++i) {
          if (positions[i] > scorer_.PositionOf(row)) {
            scores[row * units.size() + i] = -kInfinity;
          }
        }
      }
      visit(std::span<const uint64_t>(units), scores.data());
    }
    return true;
  }

  // The live tokens of a chunk that the tier holds.
  std::vector<uint64_t> TokensOf(uint64_t chunk) const {
    const SeqRange whole{chunk * knn_.chunk_tokens,
                         (chunk + 1) * knn_.chunk_tokens};
    std::vector<uint64_t> seqs;
    view_.forgotten->ForEachGap(Intersect(whole, range_), [&](SeqRange live) {
      for (uint64_t seq = live.begin; seq < live.end; ++seq) {
        seqs.push_back(seq);
      }
    });
    return seqs;
  }

  void AddMean(std::span<const uint64_t> seqs, std::vector<float>& means) {
    const size_t dim = view_.profile->key_dim;
    const float* keys =
        means_.Keys(*view_.rows, seqs, scorer_.BankOf(kv_head_));
    for (size_t d = 0; d < dim; ++d) {
      double sum = 0;
      for (size_t i = 0; i < seqs.size(); ++i) sum += keys[i * dim + d];
      means.push_back(static_cast<float>(sum / seqs.size()));
    }
  }

  absl::StatusOr<Best> BestOfHeads(size_t units) {
    std::vector<TopK> best(scorer_.bank_rows(), TopK(units));
    const bool going =
        ForEachScore([&](std::span<const uint64_t> ids, const float* scores) {
          for (size_t row = 0; row < best.size(); ++row) {
            for (size_t i = 0; i < ids.size(); ++i) {
              const float score = scores[row * ids.size() + i];
              if (score != -kInfinity) best[row].Offer(score, ids[i]);
            }
          }
        });
    if (!going) return absl::CancelledError("the caller is gone");
    Best sorted;
    for (const TopK& row : best) sorted.push_back(row.Sorted());
    return sorted;
  }

  static absl::Status LogitOverflow() {
    return base::Error(
        absl::StatusCode::kOutOfRange,
        "scores of keys overflow float32; scale queries or keys down",
        {.reason = "LOGIT_OVERFLOW", .field = "reads.queries"});
  }

  // Heads have logits of different scales, so their softmaxes are summed: two
  // passes over the scores, the first for the normalisers.
  absl::StatusOr<Best> BestOfGroup(size_t units) {
    const size_t heads = view_.profile->group_size();
    const size_t rows = scorer_.bank_rows() / heads;
    std::vector<LogSum> sums(scorer_.bank_rows());
    bool going =
        ForEachScore([&](std::span<const uint64_t> ids, const float* scores) {
          for (size_t row = 0; row < sums.size(); ++row) {
            for (size_t i = 0; i < ids.size(); ++i) {
              sums[row].Add(scores[row * ids.size() + i]);
            }
          }
        });
    std::vector<double> lse;
    for (const LogSum& sum : sums) {
      lse.push_back(sum.Get());
      // A mass of an infinite sum is no number, and would choose at random.
      if (std::isnan(lse.back()) || lse.back() == kInfinity) {
        return LogitOverflow();
      }
    }
    std::vector<TopK> best(rows, TopK(units));
    going = going && ForEachScore([&](std::span<const uint64_t> ids,
                                      const float* scores) {
              for (size_t row = 0; row < rows; ++row) {
                for (size_t i = 0; i < ids.size(); ++i) {
                  // All heads of a row see the same units.
                  if (scores[row * ids.size() + i] == -kInfinity) continue;
                  double mass = 0;
                  for (size_t head = 0; head < heads; ++head) {
                    const size_t at = head * rows + row;
                    mass += std::exp(scores[at * ids.size() + i] - lse[at]);
                  }
                  best[row].Offer(static_cast<float>(mass), ids[i]);
                }
              }
            });
    if (!going) return absl::CancelledError("the caller is gone");
    Best sorted(scorer_.bank_rows());
    for (size_t at = 0; at < sorted.size(); ++at) {
      sorted[at] = best[at % rows].Sorted();
    }
    return sorted;
  }

  // The tokens of the units, with the logits that `row` reads them with.
  std::vector<ScoredSeq> Expanded(std::vector<ScoredSeq> units, size_t row) {
    std::sort(units.begin(), units.end(),
              [](const auto& a, const auto& b) { return a.seq < b.seq; });
    std::vector<uint64_t> seqs;
    std::vector<size_t> ends;  // Of each unit, in seqs.
    for (const ScoredSeq& unit : units) {
      if (knn_.chunk_tokens == 1) {
        seqs.push_back(unit.seq);
      } else {
        for (const uint64_t seq : TokensOf(unit.seq)) {
          if (!view_.profile->IsLandmark(seq)) seqs.push_back(seq);
        }
      }
      ends.push_back(seqs.size());
    }
    std::vector<float> logits(seqs.size());
    if (!seqs.empty()) {
      scorer_.ScoreTokens(seqs, kv_head_, row, logits.data());
    }
    if (is_landmark() && !units.empty()) {
      // A unit's score may be the group's.
      std::vector<uint64_t> landmarks;
      landmarks.reserve(units.size());
      for (const ScoredSeq& unit : units) {
        landmarks.push_back((unit.seq + 1) * knn_.chunk_tokens - 1);
      }
      std::vector<float> weights(units.size());
      scorer_.ScoreTokens(landmarks, kv_head_, row, weights.data());
      for (size_t u = 0; u < units.size(); ++u) {
        const size_t begin = u == 0 ? 0 : ends[u - 1];
        GiveWeight(weights[u],
                   std::span(logits).subspan(begin, ends[u] - begin));
      }
    }
    std::vector<ScoredSeq> tokens;
    for (size_t i = 0; i < seqs.size(); ++i) {
      tokens.push_back({logits[i], seqs[i]});
    }
    return tokens;
  }

  // Moves logits so that their log-sum-exp is `lse`.
  static void GiveWeight(float lse, std::span<float> logits) {
    LogSum sum;
    for (const float logit : logits) sum.Add(logit);
    const double shift = double{lse} - sum.Get();
    for (float& logit : logits) logit = static_cast<float>(logit + shift);
  }

  const LogView& view_;
  const KnnTier& knn_;
  TierScorer& scorer_;
  const uint32_t kv_head_;
  const SeqRange range_;
  const Cancelled& cancelled_;
  KeyReader means_;
};

}  // namespace

absl::StatusOr<std::vector<std::vector<ScoredSeq>>> SelectKeys(
    const LogView& view, TierScorer& scorer, uint32_t kv_head, SeqRange range,
    size_t k, const Cancelled& cancelled) {
  const KnnTier& knn = *view.profile->knn;
  if (knn.chunk_tokens > 1 || knn.scope == SelectionScope::kKvGroup) {
    return Selector(view, scorer, kv_head, range, cancelled).Run(k);
  }
  ASSIGN_OR_RETURN(auto chosen,
                   SearchTopK(view, scorer, kv_head, range, k, cancelled));
  // In the order of the log, so that sums do not depend on the search.
  for (std::vector<ScoredSeq>& row : chosen) {
    std::sort(row.begin(), row.end(),
              [](const auto& a, const auto& b) { return a.seq < b.seq; });
  }
  return chosen;
}

}  // namespace mneme::memory
