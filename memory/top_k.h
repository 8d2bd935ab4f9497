// memory/top_k.h: the k best keys seen so far.

#ifndef MNEME_MEMORY_TOP_K_H_
#define MNEME_MEMORY_TOP_K_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace mneme::memory {

struct ScoredSeq {
  float logit;
  uint64_t seq;
};

// Larger logits first; equal ones by age, so that the choice is a function of
// the keys and not of the order in which they were seen.
inline bool Better(const ScoredSeq& a, const ScoredSeq& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.seq < b.seq;
}

class TopK {
 public:
  explicit TopK(size_t k) : k_(k) {}

  void Offer(float logit, uint64_t seq) {
    // No number can be ordered, and an overflow must not be passed over.
    const ScoredSeq item{
        std::isnan(logit) ? std::numeric_limits<float>::infinity() : logit,
        seq};
    if (heap_.size() < k_) {
      heap_.push_back(item);
      std::push_heap(heap_.begin(), heap_.end(), Better);
    } else if (k_ > 0 && Better(item, heap_.front())) {
      std::pop_heap(heap_.begin(), heap_.end(), Better);
      heap_.back() = item;
      std::push_heap(heap_.begin(), heap_.end(), Better);
    }
  }
  // A logit below this can not enter any more.
  float threshold() const {
    return heap_.size() < k_ || k_ == 0
               ? -std::numeric_limits<float>::infinity()
               : heap_.front().logit;
  }
  // Best first.
  std::vector<ScoredSeq> Sorted() const {
    std::vector<ScoredSeq> sorted = heap_;
    std::sort(sorted.begin(), sorted.end(), Better);
    return sorted;
  }

 private:
  size_t k_;
  std::vector<ScoredSeq> heap_;  // The worst in front.
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_TOP_K_H_
