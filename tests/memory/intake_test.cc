#include "memory/intake.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "memory/presets.h"

namespace mneme::memory {
namespace {

std::string FieldOf(const absl::Status& status) {
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  return base::DetailOf(status).field;
}

TEST(CheckText, NamesTheFieldThatIsWrong) {
  EXPECT_TRUE(
      CheckText({.text = "words", .role = "ann", .source = "a b.txt"}).ok());
  EXPECT_EQ(FieldOf(CheckText({.text = ""})), "text.text");
  EXPECT_EQ(FieldOf(CheckText({.text = "a\xff"})), "text.text");
  EXPECT_EQ(FieldOf(CheckText({.text = std::string(kTextBytesMax + 1, 'a')})),
            "text.text");
  EXPECT_EQ(FieldOf(CheckText(
                {.text = "a", .role = std::string(kRoleBytesMax + 1, 'r')})),
            "text.role");
  EXPECT_EQ(
      FieldOf(CheckText(
          {.text = "a", .source = std::string(kSourceBytesMax + 1, 's')})),
      "text.source");
  EXPECT_EQ(FieldOf(CheckText(
                {.text = "a",
                 .metadata = {{"k", std::string(kMetadataBytesMax, 'v')}}})),
            "text.metadata");
}

TEST(CheckText, ALabelCannotForgeALine) {
  EXPECT_EQ(FieldOf(CheckText({.text = "a", .source = "b\n[9] c: d"})),
            "text.source");
  EXPECT_EQ(FieldOf(CheckText({.text = "a", .role = "\x1b[31m"})), "text.role");
}

TEST(PositionsFor, ContinueOrAscend) {
  EXPECT_EQ(*PositionsFor({}, 3, 7), (std::vector<int64_t>{7, 8, 9}));
  const std::vector<int64_t> gaps = {7, 9, 100};
  EXPECT_EQ(*PositionsFor(gaps, 3, 7), gaps);
  for (const std::vector<int64_t>& bad : {std::vector<int64_t>{6, 8, 9},
                                          {7, 7, 9},
                                          {7, 9, 8},
                                          {7, 8, -1},
                                          {7, 8, kPositionMax + 1}}) {
    EXPECT_EQ(FieldOf(PositionsFor(bad, 3, 7).status()), "tokens.positions");
  }
}

TEST(PrepareText, RowsOfAPassageAreBoundedAndKeepEverySentence) {
  std::string dots;
  for (int i = 0; i < 2000; ++i) dots += "A. ";
  const Profile profile = ProfileByName("text").value();
  const PreparedText prepared =
      PrepareText(profile, HashEncoder(), {.text = dots});
  uint64_t rows = 0;
  for (const EntryTerms::CutPassage& passage : prepared.terms.passages) {
    EXPECT_LE(passage.tokens, 16u);
    rows += passage.tokens;
  }
  EXPECT_EQ(rows, prepared.rows);
  EXPECT_EQ(prepared.keys.size(),
            prepared.rows * profile.kv_heads * profile.key_bytes());
}

TEST(FingerprintOf, SeesEveryField) {
  const TextEntry entry{.text = "t", .role = "r", .source = "s"};
  TextEntry other = entry;
  EXPECT_EQ(FingerprintOf(entry), FingerprintOf(other));
  other.source_offset = 1;
  EXPECT_NE(FingerprintOf(entry), FingerprintOf(other));
  other = entry;
  other.time_us = 0;
  EXPECT_NE(FingerprintOf(entry), FingerprintOf(other));
  other = entry;
  other.role = "";
  other.source = "rs";
  EXPECT_NE(FingerprintOf(entry), FingerprintOf(other));
  other = entry;
  other.metadata = {{"k", "v"}};
  EXPECT_NE(FingerprintOf(entry), FingerprintOf(other));
}

}  // namespace
}  // namespace mneme::memory
