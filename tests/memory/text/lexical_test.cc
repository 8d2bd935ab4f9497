#include "memory/text/lexical.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "memory/text/words.h"
#include "tests/memory/text/random_text.h"

namespace mneme::memory {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Document {
  uint32_t id = 0;
  std::vector<TermCount> terms;
};

double CountIn(const Document& document, uint64_t term) {
  for (const TermCount& t : document.terms) {
    if (t.term == term) return t.count;
  }
  return 0;
}

// BM25 as printed, over all documents, in double precision.
std::vector<std::pair<uint32_t, double>> NaiveScores(
    const std::vector<Document>& documents,
    const std::vector<TermCount>& query) {
  const double n = static_cast<double>(documents.size());
  double length_mean = 0;
  std::vector<double> lengths;
  for (const Document& document : documents) {
    double length = 0;
    for (const TermCount& t : document.terms) length += t.count;
    lengths.push_back(length);
    length_mean += length / n;
  }
  std::vector<std::pair<uint32_t, double>> scores;
  for (size_t d = 0; d < documents.size(); ++d) {
    double score = 0;
    for (const TermCount& q : query) {
      double df = 0;
      for (const Document& other : documents) df += CountIn(other, q.term) > 0;
      const double count = CountIn(documents[d], q.term);
      const double weight = q.count * (IsStopTerm(q.term) ? 0.25 : 1.0) *
                            std::log(1 + (n - df + 0.5) / (df + 0.5));
      if (count == 0) continue;
      score += weight * count * 1.9 /
               (count + 0.9 * (0.6 + 0.4 * lengths[d] / length_mean));
    }
    if (score > 0) scores.emplace_back(documents[d].id, score);
  }
  return scores;
}

// Terms from a small vocabulary, so that they meet; some are stop terms.
std::vector<TermCount> RandomTerms(RandomText& random) {
  std::vector<TermCount> terms;
  for (uint64_t term = 0; term < 12; ++term) {
    if (random.Below(3) != 0) continue;
    const uint64_t hash = term < 2 ? TermOf(term == 0 ? "the" : "of") : term;
    terms.push_back({hash, static_cast<uint32_t>(1 + random.Below(4))});
  }
  std::sort(
      terms.begin(), terms.end(),
      [](const TermCount& a, const TermCount& b) { return a.term < b.term; });
  return terms;
}

// Adds `documents` in random pieces; a hole in the ids always ends a piece.
std::shared_ptr<const LexicalView> AddInPieces(
    const std::vector<Document>& documents, size_t piece_max,
    RandomText& random) {
  LexicalIndex index;
  for (size_t at = 0; at < documents.size();) {
    const size_t piece = 1 + random.Below(piece_max);
    std::vector<std::vector<TermCount>> passages;
    const uint32_t first = documents[at].id;
    while (at < documents.size() && passages.size() < piece &&
           documents[at].id == first + passages.size()) {
      passages.push_back(documents[at++].terms);
    }
    index.Add(first, passages);
  }
  return index.View();
}

TEST(Lexical, AnySplitIntoAddsScoresLikeNaiveBm25) {
  RandomText random(testing::Seed());
  for (int round = 0; round < 200; ++round) {
    std::vector<Document> documents;
    uint32_t id = static_cast<uint32_t>(random.Below(3));
    const size_t count = random.Below(60);
    for (size_t i = 0; i < count; ++i) {
      documents.push_back({id, RandomTerms(random)});
      id += 1 +
            (random.Below(5) == 0 ? static_cast<uint32_t>(random.Below(9)) : 0);
    }
    const std::vector<TermCount> query = RandomTerms(random);
    const auto expected = NaiveScores(documents, query);
    const auto whole = AddInPieces(documents, 1000, random)->Score(query);
    const auto view = AddInPieces(documents, 1 + random.Below(8), random);
    EXPECT_EQ(view->passage_count(), documents.size());
    EXPECT_EQ(view->Score(query), whole);
    ASSERT_EQ(whole.size(), expected.size());
    for (size_t i = 0; i < whole.size(); ++i) {
      EXPECT_EQ(whole[i].passage, expected[i].first);
      // At most 12 terms of about 8 float operations each.
      EXPECT_NEAR(
          whole[i].score, expected[i].second,
          100 * std::numeric_limits<float>::epsilon() * expected[i].second);
    }
  }
}

TEST(Lexical, AViewIsNotChangedByLaterAdds) {
  LexicalIndex index;
  const auto empty = index.View();
  const std::vector<std::vector<TermCount>> passages = {TermsOf("a red house")};
  index.Add(0, passages);
  const auto one = index.View();
  const std::vector<ScoredPassage> before = one->Score(TermsOf("red"));
  for (uint32_t i = 1; i < 50; ++i) index.Add(i, passages);
  EXPECT_THAT(empty->Score(TermsOf("red")), IsEmpty());
  EXPECT_EQ(empty->passage_count(), 0u);
  EXPECT_EQ(one->passage_count(), 1u);
  EXPECT_EQ(one->Score(TermsOf("red")), before);
  EXPECT_EQ(index.View()->Score(TermsOf("red")).size(), 50u);
}

TEST(Lexical, PassagesWithoutTermsCountAndAreNeverFound) {
  LexicalIndex index;
  index.Add(0, {});
  EXPECT_EQ(index.View()->passage_count(), 0u);
  const std::vector<std::vector<TermCount>> passages = {{}, TermsOf("red"), {}};
  index.Add(5, passages);
  EXPECT_EQ(index.View()->passage_count(), 3u);
  const auto found = index.View()->Score(TermsOf("red blue"));
  int asked = 0;
  EXPECT_THAT(
      index.View()->Score(TermsOf("red blue"), [&] { return ++asked == 2; }),
      IsEmpty());
  EXPECT_EQ(asked, 2);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].passage, 6u);
  EXPECT_THAT(index.View()->Score({}), IsEmpty());
}

TEST(Lexical, APassageMayRepeatATermMoreThanAPostingCounts) {
  LexicalIndex index;
  const std::vector<std::vector<TermCount>> passages = {{{1, 70'000}},
                                                        {{1, 1}}};
  index.Add(0, passages);
  const std::vector<TermCount> query = {{1, 1}};
  const auto found = index.View()->Score(query);
  ASSERT_EQ(found.size(), 2u);
  for (const ScoredPassage& scored : found) EXPECT_GT(scored.score, 0);
}

TEST(Lexical, FunctionWordsAloneAreStillFound) {
  LexicalIndex index;
  const std::vector<std::vector<TermCount>> passages = {
      TermsOf("He left the house."), TermsOf("To be or not to be, he said."),
      TermsOf("The cat sat.")};
  index.Add(0, passages);
  const auto found = index.View()->Score(TermsOf("to be or not to be"));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].passage, 1u);
}

TEST(Lexical, RunsMergeInOrderWhenTermsMeet) {
  const std::vector<std::vector<TermCount>> a = {{{1, 1}, {3, 2}}};
  const std::vector<std::vector<TermCount>> b = {{{2, 1}}, {{3, 4}}};
  const LexicalRun merged(LexicalRun(4, a), LexicalRun(9, b));
  EXPECT_EQ(merged.passage_count(), 3u);
  EXPECT_EQ(merged.length_total(), 8u);
  std::vector<std::pair<uint32_t, int>> found;
  for (const LexicalRun::Posting& posting : merged.PostingsOf(3)) {
    found.emplace_back(merged.passage_id(posting.rank), posting.count);
  }
  EXPECT_THAT(found, ElementsAre(std::pair(4u, 2), std::pair(10u, 4)));
  EXPECT_THAT(merged.PostingsOf(7), IsEmpty());
}

TEST(LexicalDeathTest, IdsMustAscend) {
  LexicalIndex index;
  const std::vector<std::vector<TermCount>> two(2);
  index.Add(0, two);
  EXPECT_DEATH(index.Add(1, two), "check failed");
}

}  // namespace
}  // namespace mneme::memory
