#include "memory/text/passages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "tests/memory/text/random_text.h"

namespace mneme::memory {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string_view View(std::string_view text, Span span) {
  return text.substr(span.begin, span.end - span.begin);
}

std::vector<std::string_view> PassageTexts(std::string_view text,
                                           size_t characters_max = 800) {
  std::vector<std::string_view> texts;
  for (const Passage& passage :
       CutPassages(text, {.characters_max = characters_max})) {
    texts.push_back(View(text, passage.bytes));
  }
  return texts;
}

std::vector<std::string_view> SentenceTexts(std::string_view text) {
  std::vector<std::string_view> texts;
  for (const Passage& passage : CutPassages(text)) {
    for (const Span& span : passage.sentences) {
      texts.push_back(View(text, span));
    }
  }
  return texts;
}

bool IsAllBlank(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    UChar32 c;
    U8_NEXT(text.data(), at, text.size(), c);
    if (c < 0 || !u_isUWhiteSpace(c)) return false;
  }
  return true;
}

bool EndIsBlank(std::string_view text) {
  size_t first = 0;
  UChar32 c;
  U8_NEXT(text.data(), first, text.size(), c);
  if (c >= 0 && u_isUWhiteSpace(c)) return true;
  size_t last = text.size() - 1;
  while (last > 0 && U8_IS_TRAIL(text[last])) --last;
  return IsAllBlank(text.substr(last));
}

// Everything the header promises, whatever the text.
void ExpectCutWell(std::string_view text, size_t characters_max) {
  const std::vector<Passage> passages =
      CutPassages(text, {.characters_max = characters_max});
  const bool valid = !base::FirstInvalidUtf8(text).has_value();
  uint32_t covered = 0;
  for (const Passage& passage : passages) {
    ASSERT_FALSE(passage.sentences.empty());
    EXPECT_EQ(passage.bytes.begin, passage.sentences.front().begin);
    EXPECT_EQ(passage.bytes.end, passage.sentences.back().end);
    if (valid) {
      EXPECT_LE(base::CodePointCount(View(text, passage.bytes)),
                characters_max);
    }
    for (const Span& sentence : passage.sentences) {
      ASSERT_LE(covered, sentence.begin);
      ASSERT_LT(sentence.begin, sentence.end);
      ASSERT_LE(sentence.end, text.size());
      EXPECT_TRUE(IsAllBlank(text.substr(covered, sentence.begin - covered)));
      EXPECT_FALSE(EndIsBlank(View(text, sentence)));
      if (valid) {
        EXPECT_EQ(base::FirstInvalidUtf8(View(text, sentence)), std::nullopt);
      }
      covered = sentence.end;
    }
  }
  EXPECT_TRUE(IsAllBlank(text.substr(covered)));
  if (base::CodePointCount(text) <= characters_max) {
    EXPECT_LE(passages.size(), 1u);
  }
}

TEST(Passages, BlankTextHasNone) {
  EXPECT_THAT(CutPassages(""), IsEmpty());
  EXPECT_THAT(CutPassages(" \r\n\t\u00a0\u2029 "), IsEmpty());
}

TEST(Passages, AShortEntryIsOnePassageOfItsSentences) {
  constexpr std::string_view kText = "  Hi Mel! How are you?\n\nI painted. ";
  EXPECT_THAT(PassageTexts(kText),
              ElementsAre("Hi Mel! How are you?\n\nI painted."));
  EXPECT_THAT(SentenceTexts(kText),
              ElementsAre("Hi Mel!", "How are you?", "I painted."));
}

TEST(Passages, ATitleOrAnInitialEndsNoSentence) {
  EXPECT_THAT(SentenceTexts("He met Mr. Bennet. J. S. Bach wrote it. So did I. "
                            "Yes."),
              ElementsAre("He met Mr. Bennet.", "J. S. Bach wrote it.",
                          "So did I.", "Yes."));
}

TEST(Passages, AWrappedLineEndsNoSentenceButAShortLineDoes) {
  EXPECT_THAT(
      SentenceTexts(
          "Alice was beginning to get very tired of sitting by her\r\n"
          "sister. She read.\n"
          "CHAPTER II\n"
          "- milk\n"
          "- a loaf of bread, of the kind that we had in summer\n"
          "- tea"),
      ElementsAre("Alice was beginning to get very tired of sitting by her\r\n"
                  "sister.",
                  "She read.", "CHAPTER II", "- milk",
                  "- a loaf of bread, of the kind that we had in summer",
                  "- tea"));
}

TEST(Passages, AreFilledUpToTheLimitAndCutAtSentenceEnds) {
  EXPECT_THAT(PassageTexts("One two. Six ten. Four five.", 17),
              ElementsAre("One two. Six ten.", "Four five."));
  EXPECT_THAT(PassageTexts("One two. Six ten. Four five.", 16),
              ElementsAre("One two.", "Six ten.", "Four five."));
}

TEST(Passages, ABlankLineCutsAPassageThatIsHalfFull) {
  EXPECT_THAT(PassageTexts("One two.\n\nSix. Ten ten ten.", 16),
              ElementsAre("One two.", "Six.", "Ten ten ten."));
  EXPECT_THAT(PassageTexts("One.\n\nSix. Ten ten ten.", 16),
              ElementsAre("One.\n\nSix.", "Ten ten ten."));
}

TEST(Passages, ALongSentenceIsCutAtWhiteSpaceOrBetweenCodePoints) {
  EXPECT_THAT(PassageTexts("one two three four", 9),
              ElementsAre("one two", "three", "four"));
  EXPECT_THAT(PassageTexts("ééééé", 2), ElementsAre("éé", "éé", "é"));
  EXPECT_THAT(PassageTexts("abcd ef", 4), ElementsAre("abcd", "ef"));
}

TEST(Passages, CharactersAreCountedNotBytes) {
  std::string text;
  for (int i = 0; i < 800; ++i) text += "京";
  EXPECT_THAT(CutPassages(text), SizeIs(1));
}

TEST(Passages, EveryRandomTextIsCutWell) {
  RandomText random(testing::Seed());
  for (int round = 0; round < 3000 && !::testing::Test::HasFailure(); ++round) {
    const std::string text = random.Text(random.Below(120));
    const size_t characters_max = 1 + random.Below(100);
    SCOPED_TRACE(::testing::Message()
                 << "round " << round << " limit " << characters_max);
    ExpectCutWell(text, characters_max);
  }
}

TEST(Passages, BytesThatAreNotUtf8AreCutWell) {
  RandomText random(testing::Seed());
  for (int round = 0; round < 1000 && !::testing::Test::HasFailure(); ++round) {
    ExpectCutWell(random.Bytes(random.Below(200)), 1 + random.Below(50));
  }
}

TEST(Passages, AMegabyteOfAnythingIsCutWell) {
  for (const std::string_view piece :
       {"x", ".", ". ", "a. ", "1. ", "?!", "😀", "\r\n", "\n", " ", "東", "ก",
        "e\u0301", "(", "\"", "Mr. ", "-\n", "a\n\n"}) {
    SCOPED_TRACE(piece);
    std::string text;
    while (text.size() < 1'000'000) text += piece;
    ExpectCutWell(text, 800);
  }
  ExpectCutWell(std::string(1'000'000, '\0'), 800);
}

}  // namespace
}  // namespace mneme::memory
