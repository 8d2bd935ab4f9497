#include "memory/text/terms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "memory/text/words.h"
#include "tests/memory/text/random_text.h"

namespace mneme::memory {
namespace {

using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST(Terms, AreCountedByStem) {
  EXPECT_THAT(TermsOf("The cat saw cats. THE end"),
              UnorderedElementsAre(
                  TermCount{TermOf("the"), 2}, TermCount{TermOf("cat"), 2},
                  TermCount{TermOf("saw"), 1}, TermCount{TermOf("end"), 1}));
  EXPECT_THAT(TermsOf("... !"), IsEmpty());
}

TEST(Terms, AreSortedAndAgreeWithTheWords) {
  RandomText random(testing::Seed());
  for (int round = 0; round < 500; ++round) {
    const std::string text = random.Text(random.Below(100));
    const std::vector<TermCount> terms = TermsOf(text);
    std::vector<uint64_t> expected;
    for (const WordAt& word : WordsOf(text)) expected.push_back(word.term);
    std::sort(expected.begin(), expected.end());
    std::vector<uint64_t> actual;
    for (const TermCount& term : terms) {
      ASSERT_GT(term.count, 0u);
      actual.insert(actual.end(), term.count, term.term);
    }
    EXPECT_EQ(actual, expected);
    EXPECT_TRUE(std::adjacent_find(terms.begin(), terms.end(),
                                   [](const TermCount& a, const TermCount& b) {
                                     return a.term >= b.term;
                                   }) == terms.end());
  }
}

TEST(Terms, WordsNameTheirBytes) {
  const std::string_view text = "Oh, painted houses";
  const std::vector<WordAt> words = WordsOf(text);
  ASSERT_EQ(words.size(), 3u);
  EXPECT_EQ(words[1].bytes, (Span{4, 11}));
  EXPECT_EQ(words[1].term, TermOf("painting"));
}

TEST(Terms, ManyThreadsGetTheSame) {
  RandomText random(testing::Seed());
  const std::string text = random.Text(500);
  const std::vector<TermCount> expected = TermsOf(text);
  std::vector<std::thread> threads;
  std::vector<std::vector<TermCount>> actual(4);
  for (auto& terms : actual) {
    threads.emplace_back([&] { terms = TermsOf(text); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& terms : actual) EXPECT_EQ(terms, expected);
}

TEST(TokenCount, FollowsItsRule) {
  EXPECT_EQ(TokenCount(""), 0u);
  EXPECT_EQ(TokenCount("word"), 1u);
  EXPECT_EQ(TokenCount("words"), 2u);
  EXPECT_EQ(TokenCount("a cat."), 3u);
  EXPECT_EQ(TokenCount("1984"), 4u);
  EXPECT_EQ(TokenCount("é京😀"), 1u + 2u + 3u);
  EXPECT_EQ(TokenCount("a\nb"), 3u);
  EXPECT_EQ(TokenCount("a    b"), 1u + 3u + 1u);
  EXPECT_EQ(TokenCount("a "), 2u);
  EXPECT_EQ(TokenCount("\xff\xff"), 2u);
}

TEST(TokenCount, ThePartsNeverCostLessThanTheWhole) {
  RandomText random(testing::Seed());
  for (int round = 0; round < 2000; ++round) {
    const std::string text = round % 4 == 0 ? random.Bytes(random.Below(50))
                                            : random.Text(random.Below(50));
    const size_t cut = random.Below(text.size() + 1);
    EXPECT_LE(TokenCount(text),
              TokenCount(text.substr(0, cut)) + TokenCount(text.substr(cut)))
        << "round " << round << " cut " << cut;
  }
}

}  // namespace
}  // namespace mneme::memory
