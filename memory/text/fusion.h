// memory/text/fusion.h: what the heads saw becomes one ranking of passages.
// A head is an attention head over passages: its scores, softmaxed, are shares
// of mass that add up to 1. The ranking is by the weighted mean of the heads'
// shares. Of the rules tried on chats, novels and contracts this was the one
// that no head can spoil: a weak head adds little mass where it errs, and
// decides only where the lexical head is flat (typing errors, other forms).

#ifndef MNEME_MEMORY_TEXT_FUSION_H_
#define MNEME_MEMORY_TEXT_FUSION_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "memory/text/lexical.h"

namespace mneme::memory {

// BM25 adds up the log-odds of terms as if they were independent. They are
// not; halving the sum makes up for it.
inline constexpr float kLexicalTemperature = 2.0f;

// Words are the better evidence: alone, a hashing head finds half as much.
inline constexpr float kLexicalWeight = 0.9f;
inline constexpr float kSemanticWeight = 0.05f;  // Each of the two heads.

// The logit of a sentence is this times the cosine of key and query (the
// profile's tau): an equal sentence has e^16 times the mass of an unrelated
// one, as much as nine million of them.
inline constexpr float kSemanticScale = 16.0f;

// A passage gets this part of each neighbour's evidence: an answer often stands
// next to the words of its question. More helps chats and hurts documents.
inline constexpr float kNeighbourWeight = 0.2f;

// The lexical head's evidence: every passage with a positive score, by id.
struct LexicalEvidence {
  float weight = kLexicalWeight;
  uint32_t passage_count = 0;  // Of all passages; the others score 0.
  std::span<const ScoredPassage> scores = {};
};

// A row that a semantic head attends to, and the passage it belongs to.
struct RowLogit {
  uint32_t passage = 0;
  float logit = 0;
};

// A semantic head's evidence: its best rows, in any order.
struct SemanticEvidence {
  float weight = kSemanticWeight;
  std::span<const RowLogit> rows = {};
  float lse = 0;  // Natural log of the sum of exp(logit) over all its rows.
};

// A passage with its share of the attention.
struct FusedPassage {
  uint32_t passage = 0;
  double share = 0;  // The heads' shares, weighted.
  double lexical_share = 0;
  std::vector<double> semantic_shares;  // In the order of the evidence.
};

// The passages that any head or a neighbour speaks for, best first, ties by id.
// Each head's shares are at most 1 in sum, and so are the totals: rows that
// were not among a head's best count only in its lse. Weights are taken
// relative to their sum, so a head may be left out. `joined(p)` says whether
// passages p and p + 1 are of one source (the same document, the same
// conversation) and so support each other. Errors:    none; with no evidence,
// nothing. A head without rows has shares 0. Threads:   a pure function.
// REQUIRES:  weights are not negative; lse is at least every logit of its rows;
//            scores are by id, each once, at most passage_count.
std::vector<FusedPassage> Fuse(const LexicalEvidence& lexical,
                               std::span<const SemanticEvidence> semantic,
                               absl::FunctionRef<bool(uint32_t)> joined);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_TEXT_FUSION_H_
