#include <algorithm>
#include <string>

#include "base/utf8.h"
#include "client/document.h"
#include "gmock/gmock.h"
#include "tests/testing/random.h"

namespace mneme::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

// Covers all, in order, within limits, never inside a code point.
void ExpectSound(const std::string& text) {
  const auto parts = CutParts(text);
  size_t place = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto& [begin, end] = parts[i];
    ASSERT_EQ(begin, place);
    ASSERT_GT(end, begin);
    ASSERT_LE(end - begin, kPartBytes);
    ASSERT_TRUE(base::IsCodePointBoundary(text, end)) << end;
    if (i + 1 < parts.size()) {
      ASSERT_GT(end - begin, kPartBytes / 2);
      ASSERT_FALSE(text[end - 1] == '\r' && text[end] == '\n') << end;
    }
    place = end;
  }
  ASSERT_EQ(place, text.size());
}

// `before` bytes of words, then `mark`, then words for two more parts.
std::string WordsWith(const std::string& mark, size_t before) {
  std::string text;
  while (text.size() < before) text += "word ";
  text.resize(before, 'x');
  text += mark;
  while (text.size() < 3 * kPartBytes) text += "word ";
  return text;
}

TEST(CutParts, OfNothingAreNone) { EXPECT_THAT(CutParts(""), IsEmpty()); }

TEST(CutParts, OfAShortTextIsOne) {
  EXPECT_THAT(CutParts("one.\n\ntwo."), ElementsAre(Pair(0, 10)));
  const std::string full(kPartBytes, 'x');
  EXPECT_THAT(CutParts(full), ElementsAre(Pair(0, kPartBytes)));
}

TEST(CutParts, OfRandomUnicodeAreSound) {
  testing::Random random(testing::Seed());
  const std::vector<std::string> pieces = {
      "a", "word ", ". ",   "\n",     "\r\n", "\n\n", "\r\n\r\n", "\t", "é",
      "—", "。",    "日本", "\u3000", "😀",    "”",    "? ",       "\r", "́"};
  for (int round = 0; round < 20; ++round) {
    // Few kinds of pieces in a round make long stretches without a good place.
    const int64_t kinds = random.Int(1, static_cast<int64_t>(pieces.size()));
    const int64_t first =
        random.Int(0, static_cast<int64_t>(pieces.size()) - 1);
    const auto bytes = static_cast<size_t>(random.Int(0, 6 * kPartBytes));
    std::string text;
    while (text.size() < bytes) {
      text += pieces[(first + random.Int(0, kinds - 1)) % pieces.size()];
    }
    ExpectSound(text);
  }
}

TEST(CutParts, OfOneLineOfTenMegabytesAreSound) {
  ExpectSound(std::string(10'000'000, 'x'));
  ExpectSound(std::string(10'000'000, ' '));
  std::string wide;
  while (wide.size() < 10'000'000) wide += "😀";
  ExpectSound(wide);
}

TEST(CutParts, EndAfterTheBestPlace) {
  const size_t place = kPartBytes * 3 / 4;
  for (const std::string mark :
       {"\n\n", "\r\n\r\n", "\n \t\n", "\n", "\r\n", "\r", ". ", "!” ", "。"}) {
    const auto parts = CutParts(WordsWith(mark, place));
    EXPECT_EQ(parts[0].second, place + mark.size()) << mark;
  }
}

TEST(CutParts, PreferABlankLineToAnythingLater) {
  const size_t place = kPartBytes * 5 / 8;
  std::string text = WordsWith("\n\n", place);
  text.replace(kPartBytes * 3 / 4, 1, "\n");
  text.replace(kPartBytes * 7 / 8, 2, ". ");
  EXPECT_EQ(CutParts(text)[0].second, place + 2);
}

TEST(CutParts, EndAfterAWordWhenThereIsNothingBetter) {
  const std::string text = WordsWith("", 0);
  const size_t end = CutParts(text)[0].second;
  EXPECT_EQ(text[end - 1], ' ');
  EXPECT_GT(end, kPartBytes - std::string("word ").size());
}

TEST(CutParts, OfAGrownTextStartAsBefore) {
  const std::string text = WordsWith("\n\n", kPartBytes * 3 / 4);
  const auto before = CutParts(text);
  const auto after = CutParts(text + WordsWith("\n", kPartBytes));
  ASSERT_GT(after.size(), before.size());
  EXPECT_TRUE(std::equal(before.begin(), before.end() - 1, after.begin()));
}

}  // namespace
}  // namespace mneme::client
