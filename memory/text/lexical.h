// memory/text/lexical.h: the lexical head, BM25 over immutable runs.
// Runs are merged like an LSM tree's, so that a reader holds a snapshot
// without a lock and an append costs amortised O(log n) of its size.

#ifndef MNEME_MEMORY_TEXT_LEXICAL_H_
#define MNEME_MEMORY_TEXT_LEXICAL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "memory/text/terms.h"

namespace mneme::memory {

// BM25's saturation and length normalisation (Robertson and Zaragoza 2009,
// "The Probabilistic Relevance Framework", eq. 3.15). Passages are of one size
// by construction, so length says less than in whole documents: both are below
// the usual 1.2 and 0.75.
inline constexpr float kBm25K1 = 0.9f;
inline constexpr float kBm25B = 0.4f;

// What a function word in a query weighs: questions are full of them, but in a
// quotation they are evidence.
inline constexpr float kStopTermWeight = 0.25f;

struct ScoredPassage {
  uint32_t passage = 0;
  float score = 0;
  friend bool operator==(const ScoredPassage&, const ScoredPassage&) = default;
};

// The terms of some passages, sorted by term, then passage. Immutable.
class LexicalRun {
 public:
  // A passage is named by its rank among the run's passages.
  struct Posting {
    uint32_t rank = 0;
    uint16_t count = 0;  // Saturates; BM25 saturates long before.
  };

  LexicalRun(uint32_t first_passage,
             std::span<const std::vector<TermCount>> passages);

  // The union of two runs; every id in `older` is below every id in `newer`.
  LexicalRun(const LexicalRun& older, const LexicalRun& newer);

  // Those passages of `run` that `new_ids`, [passages of the index], does not
  // call kGone, under their new ids, which keep the order.
  static constexpr uint32_t kGone = ~uint32_t{0};
  LexicalRun(const LexicalRun& run, std::span<const uint32_t> new_ids);

  size_t passage_count() const { return passages_.size(); }
  size_t posting_count() const { return postings_.size(); }
  uint64_t length_total() const { return length_total_; }  // In words.
  uint32_t passage_id(uint32_t rank) const { return passages_[rank]; }
  uint32_t length(uint32_t rank) const { return lengths_[rank]; }

  // By rank; empty when no passage has the term.
  std::span<const Posting> PostingsOf(uint64_t term) const;

 private:
  std::vector<uint64_t> terms_;    // [terms], ascending.
  std::vector<uint32_t> offsets_;  // [terms + 1], into postings_.
  std::vector<Posting> postings_;
  std::vector<uint32_t> passages_;  // [passages], ids, ascending.
  std::vector<uint32_t> lengths_;   // [passages], in words.
  uint64_t length_total_ = 0;
};

// What the index held at one moment.
// Threads:   any; immutable.
class LexicalView {
 public:
  explicit LexicalView(std::vector<std::shared_ptr<const LexicalRun>> runs);

  // How many passages there are; ids may have holes, so they may run higher.
  uint32_t passage_count() const { return passage_count_; }

  // Every passage with a term of `query`, by id. Scores do not depend on how
  // the passages were divided into Adds, to the bit. Once `cancelled`, which is
  // asked for each term, they are worth nothing.
  std::vector<ScoredPassage> Score(
      std::span<const TermCount> query,
      absl::FunctionRef<bool()> cancelled = [] { return false; }) const;

 private:
  std::vector<std::shared_ptr<const LexicalRun>> runs_;
  uint32_t passage_count_ = 0;
  float length_mean_ = 0;
};

// Threads:   the caller serialises Add and View; views are free of it.
class LexicalIndex {
 public:
  // Adds passages `first_passage`, `first_passage` + 1, ...: the TermsOf each.
  // One without terms has an id and no postings. Nothing to add is no change.
  // REQUIRES:  first_passage is above every id added before.
  void Add(uint32_t first_passage,
           std::span<const std::vector<TermCount>> passages);

  // The index as if those passages had never been added that `new_ids`,
  // [passages], calls LexicalRun::kGone; the others get their new ids.
  LexicalIndex Without(std::span<const uint32_t> new_ids) const;

  // Costs O(log n), whatever was added.
  std::shared_ptr<const LexicalView> View() const;

 private:
  std::vector<std::shared_ptr<const LexicalRun>> runs_;  // Oldest first.
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_TEXT_LEXICAL_H_
