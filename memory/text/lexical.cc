#include "memory/text/lexical.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"
#include "memory/text/words.h"

namespace mneme::memory {
namespace {

// The work of merging a run.
size_t SizeOf(const LexicalRun& run) {
  return run.passage_count() + run.posting_count();
}

// Robertson and Zaragoza 2009, eq. 3.15, with 1 added inside the logarithm so
// that a term in more than half of the passages still counts for its passages.
float InverseDocumentFrequency(size_t passage_count, size_t holders) {
  const double n = static_cast<double>(passage_count);
  const double df = static_cast<double>(holders);
  return static_cast<float>(std::log1p((n - df + 0.5) / (df + 0.5)));
}

}  // namespace

LexicalRun::LexicalRun(uint32_t first_passage,
                       std::span<const std::vector<TermCount>> passages) {
  struct Entry {
    uint64_t term;
    Posting posting;
  };
  size_t entry_count = 0;
  for (const auto& terms : passages) entry_count += terms.size();
  CHECK(entry_count < std::numeric_limits<uint32_t>::max());
  std::vector<Entry> entries;
  entries.reserve(entry_count);
  for (uint32_t rank = 0; rank < passages.size(); ++rank) {
    uint32_t length = 0;
    for (const TermCount& term : passages[rank]) {
      length += term.count;
      entries.push_back(
          {term.term,
           {rank, static_cast<uint16_t>(std::min<uint32_t>(
                      term.count, std::numeric_limits<uint16_t>::max()))}});
    }
    passages_.push_back(first_passage + rank);
    lengths_.push_back(length);
    length_total_ += length;
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.term, a.posting.rank) <
           std::pair(b.term, b.posting.rank);
  });
  postings_.reserve(entries.size());
  for (const Entry& entry : entries) {
    if (terms_.empty() || terms_.back() != entry.term) {
      terms_.push_back(entry.term);
      offsets_.push_back(static_cast<uint32_t>(postings_.size()));
    }
    postings_.push_back(entry.posting);
  }
  offsets_.push_back(static_cast<uint32_t>(postings_.size()));
}

LexicalRun::LexicalRun(const LexicalRun& older, const LexicalRun& newer)
    : passages_(older.passages_),
      lengths_(older.lengths_),
      length_total_(older.length_total_ + newer.length_total_) {
  CHECK(older.postings_.size() + newer.postings_.size() <
        std::numeric_limits<uint32_t>::max());
  passages_.insert(passages_.end(), newer.passages_.begin(),
                   newer.passages_.end());
  lengths_.insert(lengths_.end(), newer.lengths_.begin(), newer.lengths_.end());
  terms_.reserve(older.terms_.size() + newer.terms_.size());
  offsets_.reserve(older.offsets_.size() + newer.offsets_.size());
  postings_.reserve(older.postings_.size() + newer.postings_.size());
  const auto take = [this](const LexicalRun& run, size_t term, uint32_t shift) {
    for (uint32_t i = run.offsets_[term]; i < run.offsets_[term + 1]; ++i) {
      const Posting& posting = run.postings_[i];
      postings_.push_back({posting.rank + shift, posting.count});
    }
  };
  const uint32_t shift = static_cast<uint32_t>(older.passages_.size());
  size_t a = 0;
  size_t b = 0;
  while (a < older.terms_.size() || b < newer.terms_.size()) {
    const bool from_older =
        b == newer.terms_.size() ||
        (a < older.terms_.size() && older.terms_[a] <= newer.terms_[b]);
    const bool from_newer =
        a == older.terms_.size() ||
        (b < newer.terms_.size() && newer.terms_[b] <= older.terms_[a]);
    terms_.push_back(from_older ? older.terms_[a] : newer.terms_[b]);
    offsets_.push_back(static_cast<uint32_t>(postings_.size()));
    if (from_older) take(older, a++, 0);
    if (from_newer) take(newer, b++, shift);
  }
  offsets_.push_back(static_cast<uint32_t>(postings_.size()));
}

LexicalRun::LexicalRun(const LexicalRun& run,
                       std::span<const uint32_t> new_ids) {
  std::vector<uint32_t> new_ranks(run.passages_.size(), kGone);
  for (size_t rank = 0; rank < run.passages_.size(); ++rank) {
    const uint32_t id = new_ids[run.passages_[rank]];
    if (id == kGone) continue;
    new_ranks[rank] = static_cast<uint32_t>(passages_.size());
    passages_.push_back(id);
    lengths_.push_back(run.lengths_[rank]);
    length_total_ += run.lengths_[rank];
  }
  for (size_t term = 0; term < run.terms_.size(); ++term) {
    const size_t first = postings_.size();
    for (uint32_t i = run.offsets_[term]; i < run.offsets_[term + 1]; ++i) {
      const Posting& posting = run.postings_[i];
      const uint32_t rank = new_ranks[posting.rank];
      if (rank != kGone) postings_.push_back({rank, posting.count});
    }
    if (postings_.size() == first) continue;
    terms_.push_back(run.terms_[term]);
    offsets_.push_back(static_cast<uint32_t>(first));
  }
  offsets_.push_back(static_cast<uint32_t>(postings_.size()));
}

std::span<const LexicalRun::Posting> LexicalRun::PostingsOf(
    uint64_t term) const {
  const auto found = std::lower_bound(terms_.begin(), terms_.end(), term);
  if (found == terms_.end() || *found != term) return {};
  const size_t i = static_cast<size_t>(found - terms_.begin());
  return std::span(postings_).subspan(offsets_[i],
                                      offsets_[i + 1] - offsets_[i]);
}

LexicalView::LexicalView(std::vector<std::shared_ptr<const LexicalRun>> runs)
    : runs_(std::move(runs)) {
  uint64_t length_total = 0;
  for (const auto& run : runs_) {
    passage_count_ += static_cast<uint32_t>(run->passage_count());
    length_total += run->length_total();
  }
  if (passage_count_ > 0) {
    length_mean_ = static_cast<float>(static_cast<double>(length_total) /
                                      static_cast<double>(passage_count_));
  }
}

std::vector<ScoredPassage> LexicalView::Score(
    std::span<const TermCount> query,
    absl::FunctionRef<bool()> cancelled) const {
  std::vector<std::vector<float>> scores(runs_.size());
  for (size_t r = 0; r < runs_.size(); ++r) {
    scores[r].resize(runs_[r]->passage_count());
  }
  std::vector<std::span<const LexicalRun::Posting>> postings(runs_.size());
  for (const TermCount& term : query) {
    if (cancelled()) return {};
    size_t holders = 0;
    for (size_t r = 0; r < runs_.size(); ++r) {
      postings[r] = runs_[r]->PostingsOf(term.term);
      holders += postings[r].size();
    }
    const float weight = static_cast<float>(term.count) *
                         (IsStopTerm(term.term) ? kStopTermWeight : 1.0f) *
                         InverseDocumentFrequency(passage_count_, holders);
    for (size_t r = 0; r < runs_.size(); ++r) {
      for (const LexicalRun::Posting& posting : postings[r]) {
        const float count = posting.count;
        const float length =
            static_cast<float>(runs_[r]->length(posting.rank)) / length_mean_;
        scores[r][posting.rank] +=
            weight * count * (kBm25K1 + 1) /
            (count + kBm25K1 * (1 - kBm25B + kBm25B * length));
      }
    }
  }
  std::vector<ScoredPassage> found;
  for (size_t r = 0; r < runs_.size(); ++r) {
    for (uint32_t rank = 0; rank < scores[r].size(); ++rank) {
      if (scores[r][rank] > 0) {
        found.push_back({runs_[r]->passage_id(rank), scores[r][rank]});
      }
    }
  }
  return found;
}

void LexicalIndex::Add(uint32_t first_passage,
                       std::span<const std::vector<TermCount>> passages) {
  if (passages.empty()) return;
  CHECK(passages.size() <=
        std::numeric_limits<uint32_t>::max() - size_t{first_passage});
  if (!runs_.empty()) {
    const LexicalRun& last = *runs_.back();
    const uint32_t last_rank = static_cast<uint32_t>(last.passage_count()) - 1;
    CHECK(first_passage > last.passage_id(last_rank));
  }
  runs_.push_back(std::make_shared<LexicalRun>(first_passage, passages));
  // Each run stays more than twice as large as the next: O(log n) of them.
  while (runs_.size() >= 2 &&
         SizeOf(*runs_[runs_.size() - 2]) <= 2 * SizeOf(*runs_.back())) {
    auto merged =
        std::make_shared<LexicalRun>(*runs_[runs_.size() - 2], *runs_.back());
    runs_.pop_back();
    runs_.back() = std::move(merged);
  }
}

LexicalIndex LexicalIndex::Without(std::span<const uint32_t> new_ids) const {
  LexicalIndex kept;
  for (const auto& run : runs_) {
    auto shorter = std::make_shared<const LexicalRun>(*run, new_ids);
    if (shorter->passage_count() > 0) kept.runs_.push_back(std::move(shorter));
  }
  return kept;
}

std::shared_ptr<const LexicalView> LexicalIndex::View() const {
  return std::make_shared<const LexicalView>(runs_);
}

}  // namespace mneme::memory
