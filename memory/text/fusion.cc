#include "memory/text/fusion.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"

namespace mneme::memory {
namespace {

// Values of the candidate passages, [candidates].
using Column = std::vector<double>;

size_t IndexOf(std::span<const uint32_t> candidates, uint32_t passage) {
  return static_cast<size_t>(
      std::lower_bound(candidates.begin(), candidates.end(), passage) -
      candidates.begin());
}

// The passages of all evidence and their neighbours, ascending, each once.
std::vector<uint32_t> CandidatesOf(const LexicalEvidence& lexical,
                                   std::span<const SemanticEvidence> semantic,
                                   absl::FunctionRef<bool(uint32_t)> joined) {
  std::vector<uint32_t> named;
  for (const ScoredPassage& scored : lexical.scores) {
    named.push_back(scored.passage);
  }
  for (const SemanticEvidence& head : semantic) {
    for (const RowLogit& row : head.rows) named.push_back(row.passage);
  }
  std::sort(named.begin(), named.end());
  named.erase(std::unique(named.begin(), named.end()), named.end());
  std::vector<uint32_t> candidates;
  candidates.reserve(3 * named.size());
  for (const uint32_t p : named) {
    if (p > 0 && joined(p - 1)) candidates.push_back(p - 1);
    candidates.push_back(p);
    if (p < std::numeric_limits<uint32_t>::max() && joined(p)) {
      candidates.push_back(p + 1);
    }
  }
  std::sort(candidates.begin(), candidates.end());
  candidates.erase(std::unique(candidates.begin(), candidates.end()),
                   candidates.end());
  return candidates;
}

// links[i]: candidates i and i + 1 are neighbours.
Column WithNeighbours(const Column& values, const std::vector<bool>& links) {
  Column sums = values;
  for (size_t i = 0; i + 1 < values.size(); ++i) {
    if (!links[i]) continue;
    sums[i] += kNeighbourWeight * values[i + 1];
    sums[i + 1] += kNeighbourWeight * values[i];
  }
  return sums;
}

// A softmax over all passages, of which those not among the candidates score 0.
Column LexicalShares(const LexicalEvidence& lexical,
                     std::span<const uint32_t> candidates,
                     const std::vector<bool>& links) {
  Column scores(candidates.size(), 0.0);
  for (const ScoredPassage& scored : lexical.scores) {
    scores[IndexOf(candidates, scored.passage)] = scored.score;
  }
  Column shares = WithNeighbours(scores, links);
  double highest = 0;
  for (const double score : shares) highest = std::max(highest, score);
  const size_t others =
      std::max<size_t>(lexical.passage_count, candidates.size()) -
      candidates.size();
  double sum =
      static_cast<double>(others) * std::exp(-highest / kLexicalTemperature);
  for (double& share : shares) {
    share = std::exp((share - highest) / kLexicalTemperature);
    sum += share;
  }
  for (double& share : shares) share /= sum;
  return shares;
}

// Each passage's mass is the sum of its rows'. What neighbours receive is
// divided out again, so that the sum stays at most 1.
Column SemanticShares(const SemanticEvidence& head,
                      std::span<const uint32_t> candidates,
                      const std::vector<bool>& links) {
  Column masses(candidates.size(), 0.0);
  for (const RowLogit& row : head.rows) {
    masses[IndexOf(candidates, row.passage)] +=
        std::exp(static_cast<double>(row.logit) - head.lse);
  }
  Column shares = WithNeighbours(masses, links);
  for (double& share : shares) share /= 1 + 2 * double{kNeighbourWeight};
  return shares;
}

}  // namespace

std::vector<FusedPassage> Fuse(const LexicalEvidence& lexical,
                               std::span<const SemanticEvidence> semantic,
                               absl::FunctionRef<bool(uint32_t)> joined) {
  CHECK(lexical.scores.size() <= lexical.passage_count);
  const std::vector<uint32_t> candidates =
      CandidatesOf(lexical, semantic, joined);
  std::vector<bool> links(candidates.size());
  for (size_t i = 0; i + 1 < candidates.size(); ++i) {
    links[i] = candidates[i + 1] == candidates[i] + 1 && joined(candidates[i]);
  }
  double weight_sum = lexical.weight;
  for (const SemanticEvidence& head : semantic) weight_sum += head.weight;
  if (weight_sum == 0) return {};

  std::vector<FusedPassage> fused(candidates.size());
  Column totals(candidates.size(), 0.0);
  const Column lexical_shares = LexicalShares(lexical, candidates, links);
  for (size_t i = 0; i < candidates.size(); ++i) {
    fused[i].passage = candidates[i];
    fused[i].lexical_share = lexical_shares[i];
    fused[i].semantic_shares.reserve(semantic.size());
    totals[i] = lexical.weight / weight_sum * lexical_shares[i];
  }
  for (const SemanticEvidence& head : semantic) {
    const Column shares = SemanticShares(head, candidates, links);
    for (size_t i = 0; i < candidates.size(); ++i) {
      fused[i].semantic_shares.push_back(shares[i]);
      totals[i] += head.weight / weight_sum * shares[i];
    }
  }
  for (size_t i = 0; i < candidates.size(); ++i) {
    fused[i].share = totals[i];
  }
  std::sort(fused.begin(), fused.end(),
            [](const FusedPassage& a, const FusedPassage& b) {
              return a.share != b.share ? a.share > b.share
                                        : a.passage < b.passage;
            });
  return fused;
}

}  // namespace mneme::memory
