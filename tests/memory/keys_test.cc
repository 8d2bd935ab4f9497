#include "memory/keys.h"

#include <algorithm>
#include <functional>
#include <vector>

#include "gtest/gtest.h"

namespace mneme::memory {
namespace {

// Numbers on both sides of every byte's carry.
const std::vector<uint64_t> kNumbers = {
    0, 1, 127, 128, 255, 256, 65535, 65536, 0xFFFFFFFF, 1ull << 32, 1ull << 56};

bool IsIn(const std::string& key, const KeyRange& range) {
  return range.first <= key && key < range.second;
}

TEST(Keys, OfOneKindSortAsTheLogDoes) {
  const std::vector<std::function<std::string(uint64_t)>> kinds = {
      [](uint64_t n) { return PositionsKey(7, n); },
      [](uint64_t n) { return TailKey(7, n); },
      [](uint64_t n) { return EntryKey(7, n); },
      [](uint64_t n) { return LexicalKey(7, n); },
      [](uint64_t n) { return ForgottenKey(7, n); },
      [](uint64_t n) { return RowsKey(7, n, 3); },
      [](uint64_t n) { return SegmentKey(7, n, 3); }};
  for (const auto& key : kinds) {
    for (size_t i = 1; i < kNumbers.size(); ++i) {
      EXPECT_LT(key(kNumbers[i - 1]), key(kNumbers[i])) << kNumbers[i];
    }
  }
}

TEST(Keys, BanksOfABlockLieTogether) {
  EXPECT_LT(RowsKey(1, 4, 0xFFFFFFFF), RowsKey(1, 5, 0));
  EXPECT_LT(RowsKey(1, 4, 255), RowsKey(1, 4, 256));
  EXPECT_LT(SegmentKey(1, 4, 0xFFFFFFFF), SegmentKey(1, 5, 0));
}

TEST(Keys, EveryRecordOfASessionIsInItsRangeAndInNoOther) {
  for (const uint64_t uid : kNumbers) {
    const std::vector<std::pair<RecordKind, std::string>> keys = {
        {RecordKind::kHead, HeadKey(uid)},
        {RecordKind::kRows, RowsKey(uid, ~0ull, ~0u)},
        {RecordKind::kPositions, PositionsKey(uid, ~0ull)},
        {RecordKind::kTail, TailKey(uid, ~0ull)},
        {RecordKind::kEntry, EntryKey(uid, ~0ull)},
        {RecordKind::kLexical, LexicalKey(uid, ~0ull)},
        {RecordKind::kRequest, RequestKey(uid, std::string(128, '\xFF'))},
        {RecordKind::kForgotten, ForgottenKey(uid, ~0ull)},
        {RecordKind::kCheckpoint, CheckpointKey(uid, ~0u)},
        {RecordKind::kSegment, SegmentKey(uid, ~0ull, ~0u)}};
    for (const auto& [kind, key] : keys) {
      const auto place = PlaceOfKey(key);
      ASSERT_TRUE(place);
      EXPECT_EQ(place->uid, uid);
      EXPECT_EQ(place->kind, kind);
      EXPECT_TRUE(IsIn(key, Everything()));
      EXPECT_TRUE(IsIn(key, AllOf(uid)));
      EXPECT_FALSE(IsIn(key, AllOf(uid + 1)));
      EXPECT_FALSE(IsIn(key, AllHeaders()));
      for (const auto& [other, unused] : keys) {
        EXPECT_EQ(IsIn(key, AllOf(uid, other)), kind == other)
            << static_cast<char>(kind) << " in " << static_cast<char>(other);
      }
    }
  }
}

TEST(Keys, AKeySaysWhichBlockTokenOrEntryItIs) {
  EXPECT_EQ(PlaceOfKey(RowsKey(1, 300, 7))->number, 300u);
  EXPECT_EQ(PlaceOfKey(EntryKey(1, 301))->number, 301u);
  EXPECT_EQ(PlaceOfKey(TailKey(1, 302))->number, 302u);
  EXPECT_EQ(PlaceOfKey(RequestKey(1, "12345678"))->number, 0u);
  EXPECT_FALSE(PlaceOfKey(FormatKey()));
  EXPECT_FALSE(PlaceOfKey(HeaderKey({.space = "a", .session = "b"})));
  EXPECT_FALSE(PlaceOfKey(""));
  EXPECT_FALSE(PlaceOfKey("d12345678"));
}

TEST(Keys, HeadersListSessionsByNamespace) {
  const std::string a = HeaderKey({.space = "a", .session = "z"});
  const std::string b = HeaderKey({.space = "b", .session = "a"});
  EXPECT_TRUE(IsIn(a, Everything()));
  EXPECT_TRUE(IsIn(FormatKey(), Everything()));
  EXPECT_TRUE(IsIn(UidNextKey(), Everything()));
  EXPECT_TRUE(IsIn(a, AllHeaders()));
  EXPECT_TRUE(IsIn(b, AllHeaders()));
  EXPECT_LT(a, b);
  EXPECT_FALSE(IsIn(FormatKey(), AllHeaders()));
}

TEST(Keys, OfRowsSayWhichSeqsTheyHold) {
  EXPECT_EQ(RowsAt(RowsKey(7, 2, 3)), (SeqRange{256, 384}));
  EXPECT_EQ(RowsAt(PositionsKey(7, 0)), (SeqRange{0, 128}));
  EXPECT_EQ(RowsAt(TailKey(7, 300)), (SeqRange{300, 384}));
  EXPECT_EQ(RowsAt(EntryKey(7, 300)), std::nullopt);
  EXPECT_EQ(RowsAt(HeadKey(7)), std::nullopt);
  EXPECT_EQ(RowsAt(""), std::nullopt);
}

}  // namespace
}  // namespace mneme::memory
