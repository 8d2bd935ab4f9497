#include "memory/top_k.h"

#include <algorithm>
#include <limits>

#include "gtest/gtest.h"
#include "tests/testing/random.h"

namespace mneme::memory {
namespace {

using testing::Random;
using testing::Seed;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(TopK, KeepsTheFirstKOfTheSortedWhole) {
  Random random(Seed());
  for (int round = 0; round < 300; ++round) {
    const auto count = static_cast<uint64_t>(random.Int(0, 40));
    std::vector<ScoredSeq> items;
    for (uint64_t seq = 0; seq < count; ++seq) {
      // Few distinct logits: ties are the hard part.
      items.push_back({static_cast<float>(random.Int(0, 4)), seq});
    }
    const auto k = static_cast<size_t>(random.Int(0, 12));
    TopK best(k);
    std::vector<ScoredSeq> shuffled = items;
    for (size_t i = shuffled.size(); i > 1; --i) {
      std::swap(shuffled[i - 1], shuffled[random.Int(0, i - 1)]);
    }
    for (const ScoredSeq& item : shuffled) best.Offer(item.logit, item.seq);
    std::sort(items.begin(), items.end(), Better);
    const std::vector<ScoredSeq> sorted = best.Sorted();
    ASSERT_EQ(sorted.size(), std::min<size_t>(k, items.size()));
    for (size_t i = 0; i < sorted.size(); ++i) {
      ASSERT_EQ(sorted[i].seq, items[i].seq);
      ASSERT_EQ(sorted[i].logit, items[i].logit);
    }
  }
}

TEST(TopK, TheThresholdIsTheWorstOfAFullListAndNothingBefore) {
  TopK best(2);
  EXPECT_EQ(best.threshold(), -kInfinity);
  best.Offer(5, 0);
  EXPECT_EQ(best.threshold(), -kInfinity);
  best.Offer(3, 1);
  EXPECT_EQ(best.threshold(), 3);
  best.Offer(4, 2);
  EXPECT_EQ(best.threshold(), 4);
}

TEST(TopK, WhatIsNoNumberIsBestSoThatItIsNoticed) {
  TopK best(2);
  best.Offer(5, 0);
  best.Offer(std::numeric_limits<float>::quiet_NaN(), 1);
  best.Offer(7, 2);
  EXPECT_EQ(best.Sorted()[0].seq, 1u);
  EXPECT_EQ(best.Sorted()[0].logit, kInfinity);
}

TEST(TopK, OfNothingHoldsNothing) {
  TopK none(0);
  none.Offer(1, 0);
  EXPECT_TRUE(none.Sorted().empty());
  EXPECT_EQ(none.threshold(), -kInfinity);
}

}  // namespace
}  // namespace mneme::memory
