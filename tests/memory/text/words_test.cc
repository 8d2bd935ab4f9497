#include "memory/text/words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "tests/memory/text/random_text.h"

namespace mneme::memory {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Folded(std::string_view text) {
  std::vector<std::string> words;
  ForEachWord(
      text, [&](Span, std::string_view folded) { words.emplace_back(folded); });
  return words;
}

TEST(Words, AreRunsOfLettersAndDigitsFolded) {
  EXPECT_THAT(
      Folded("The  CAT's 2nd-best; file_name, 3.14!"),
      ElementsAre("the", "cat's", "2nd", "best", "file", "name", "3", "14"));
}

TEST(Words, ApostrophesInsideAreOneKindAndAtTheEndsNone) {
  EXPECT_THAT(Folded("don’t 'tis' o'"), ElementsAre("don't", "tis", "o"));
}

TEST(Words, OtherScriptsAreFoldedToo) {
  EXPECT_THAT(Folded("NAÏVE ΛΟΓΟΣ День"),
              ElementsAre("naïve", "λογοσ", "день"));
}

TEST(Words, ScriptsWithoutSpacesAreCutByDictionary) {
  EXPECT_THAT(Folded("GPTは東京に行く"),
              ElementsAre("gpt", "は", "東京", "に", "行く"));
  EXPECT_THAT(Folded("ภาษาไทย"), ElementsAre("ภาษา", "ไทย"));
}

TEST(Words, TextWithoutLettersOrDigitsHasNone) {
  EXPECT_THAT(Folded("... 🎉🎉 ❤️ -- \r\n"), IsEmpty());
  EXPECT_THAT(Folded(std::string(3, '\0')), IsEmpty());
  EXPECT_THAT(Folded("\xff\xfe"), IsEmpty());
}

TEST(Words, ALongWordKeepsItsFirstBytesInWholeCodePoints) {
  EXPECT_THAT(Folded(std::string(1000, 'a')),
              ElementsAre(std::string(kWordBytesMax, 'a')));
  std::string text = "x";
  for (int i = 0; i < 100; ++i) text += "é";
  const std::vector<std::string> words = Folded(text);
  ASSERT_EQ(words.size(), 1u);
  EXPECT_EQ(words[0].size(), kWordBytesMax - 1);
  EXPECT_EQ(base::FirstInvalidUtf8(words[0]), std::nullopt);
}

TEST(Words, PlacesAreInOrderAndInsideTheText) {
  RandomText random(testing::Seed());
  for (int round = 0; round < 2000; ++round) {
    const std::string text = round % 4 == 0 ? random.Bytes(random.Below(200))
                                            : random.Text(random.Below(60));
    uint32_t before = 0;
    ForEachWord(text, [&](Span bytes, std::string_view folded) {
      EXPECT_LE(before, bytes.begin);
      EXPECT_LT(bytes.begin, bytes.end);
      EXPECT_LE(bytes.end, text.size());
      EXPECT_FALSE(folded.empty());
      EXPECT_LE(folded.size(), kWordBytesMax);
      EXPECT_EQ(base::FirstInvalidUtf8(folded), std::nullopt);
      before = bytes.end;
    });
  }
}

TEST(Words, InflectionsShareATerm) {
  EXPECT_EQ(TermOf("painting"), TermOf("painted"));
  EXPECT_EQ(TermOf("cat's"), TermOf("cats"));
  EXPECT_NE(TermOf("cat"), TermOf("dog"));
}

// Terms are stored: a change of hash or stemmer would lose what is on disk.
TEST(Words, TermsAreWhatTheyWere) {
  EXPECT_EQ(TermOf("painting"), 15572331074871433250u);
  EXPECT_EQ(TermOf("день"), 5569549997582298457u);
}

TEST(Words, FunctionWordsAreStopTerms) {
  EXPECT_TRUE(IsStopTerm(TermOf("the")));
  EXPECT_TRUE(IsStopTerm(TermOf("does")));
  EXPECT_FALSE(IsStopTerm(TermOf("paint")));
}

}  // namespace
}  // namespace mneme::memory
