#include "memory/seq_set.h"

#include <algorithm>
#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/random.h"

namespace mneme::memory {
namespace {

using testing::Random;
using testing::Seed;

constexpr uint64_t kEnd = 24;

// The non-members of [begin, end), by a plain set.
std::vector<uint64_t> GapsOf(const std::set<uint64_t>& model, SeqRange range) {
  std::vector<uint64_t> gaps;
  for (uint64_t seq = range.begin; seq < range.end; ++seq) {
    if (!model.contains(seq)) gaps.push_back(seq);
  }
  return gaps;
}

void ExpectEqualIn(const SeqSet& set, const std::set<uint64_t>& model,
                   SeqRange range) {
  const std::vector<uint64_t> expected = GapsOf(model, range);
  std::vector<uint64_t> gaps;
  uint64_t last_end = 0;
  set.ForEachGap(range, [&](SeqRange gap) {
    ASSERT_FALSE(gap.empty());
    // Maximal runs never touch.
    if (!gaps.empty()) {
      EXPECT_GT(gap.begin, last_end);
    }
    last_end = gap.end;
    for (uint64_t seq = gap.begin; seq < gap.end; ++seq) gaps.push_back(seq);
  });
  EXPECT_EQ(gaps, expected) << range.begin << " to " << range.end;
  EXPECT_EQ(set.CountIn(range), range.size() - expected.size());
}

TEST(SeqSet, EqualsASetOfNumbersAfterAnyAdds) {
  Random random(Seed());
  for (int round = 0; round < 200; ++round) {
    SeqSet set;
    std::set<uint64_t> model;
    for (int add = 0; add < 6; ++add) {
      const uint64_t begin = random.Int(0, kEnd);
      const uint64_t end = begin + random.Int(0, 5);
      set.Add({begin, end});
      for (uint64_t seq = begin; seq < end; ++seq) model.insert(seq);
      ASSERT_EQ(set.empty(), model.empty());
    }
    for (uint64_t seq = 0; seq <= kEnd + 5; ++seq) {
      ASSERT_EQ(set.Contains(seq), model.contains(seq)) << seq;
    }
    for (uint64_t begin = 0; begin <= kEnd; ++begin) {
      for (uint64_t end = begin; end <= kEnd; ++end) {
        ExpectEqualIn(set, model, {begin, end});
      }
    }
    if (HasFailure()) return;
  }
}

TEST(SeqSet, BeginOfLastIsTheShortestTailWithThatManyOutside) {
  Random random(Seed());
  for (int round = 0; round < 200; ++round) {
    SeqSet set;
    std::set<uint64_t> model;
    for (int add = 0; add < 4; ++add) {
      const uint64_t begin = random.Int(0, kEnd);
      const uint64_t end = begin + random.Int(0, 5);
      set.Add({begin, end});
      for (uint64_t seq = begin; seq < end; ++seq) model.insert(seq);
    }
    for (uint64_t end = 0; end <= kEnd; ++end) {
      for (uint64_t count = 0; count <= kEnd; ++count) {
        const uint64_t begin = set.BeginOfLast(count, end);
        ASSERT_LE(begin, end);
        const uint64_t outside = GapsOf(model, {begin, end}).size();
        const uint64_t all = GapsOf(model, {0, end}).size();
        ASSERT_EQ(outside, std::min(count, all));
        // The tail begins at a counted seq, unless there are too few.
        if (count == 0) {
          ASSERT_EQ(begin, end);
        } else if (count > all) {
          ASSERT_EQ(begin, 0u);
        } else {
          ASSERT_FALSE(model.contains(begin)) << begin;
        }
      }
    }
  }
}

TEST(SeqSet, IntersectOfDisjointRangesIsEmpty) {
  EXPECT_TRUE(Intersect({0, 3}, {3, 9}).empty());
  EXPECT_EQ(Intersect({0, 3}, {7, 9}).size(), 0u);
  EXPECT_EQ(Intersect({0, 5}, {3, 9}), (SeqRange{3, 5}));
}

}  // namespace
}  // namespace mneme::memory
