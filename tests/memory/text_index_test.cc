#include "memory/text_index.h"

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace mneme::memory {
namespace {

Entry MakeEntry(uint64_t number, uint64_t seq_first, uint32_t seq_count,
                std::string role = "", std::string source = "") {
  return {.number = number,
          .text = std::string(10 * seq_count, 'x'),
          .role = std::move(role),
          .source = std::move(source),
          .metadata = {},
          .seq_first = seq_first,
          .seq_count = seq_count};
}

// One passage for each of `tokens`.
EntryTerms Passages(const std::vector<uint32_t>& tokens) {
  EntryTerms terms;
  uint32_t byte = 0;
  for (const uint32_t count : tokens) {
    terms.passages.push_back(
        {.bytes = {byte, byte + 10 * count}, .tokens = count});
    terms.terms.push_back({{.term = 42, .count = count}});
    byte += 10 * count;
  }
  return terms;
}

TEST(TextIndex, EveryTokenBelongsToThePassageThatHoldsIt) {
  TextIndex index;
  index.Add(MakeEntry(1, 0, 6), Passages({1, 2, 3}));
  index.Add(MakeEntry(2, 6, 1), Passages({1}));
  index.Add(MakeEntry(4, 10, 5), Passages({4, 1}));  // 7 to 9 are forgotten.
  const auto view = index.View();
  EXPECT_EQ(view->entry_count, 3u);
  ASSERT_EQ(view->passage_count, 6u);
  EXPECT_EQ(view->text_bytes, 120u);
  for (uint32_t p = 0; p < view->passage_count; ++p) {
    const PassagePlace& place = (*view->passages)[p];
    for (uint32_t token = 0; token < place.tokens; ++token) {
      EXPECT_EQ(view->PassageOf(place.seq_first + token), p);
    }
  }
}

TEST(TextIndex, AViewStaysAsItWas) {
  TextIndex index;
  index.Add(MakeEntry(1, 0, 1), Passages({1}));
  const auto before = index.View();
  for (uint64_t i = 1; i < 200; ++i) {
    index.Add(MakeEntry(1 + i, i, 1), Passages({1}));
  }
  const TermCount query{42, 1};
  EXPECT_EQ(before->entry_count, 1u);
  EXPECT_EQ(before->passage_count, 1u);
  EXPECT_EQ(before->lexical->Score(std::span(&query, 1)).size(), 1u);
  EXPECT_FALSE(before->Joined(0));
  EXPECT_EQ(index.View()->lexical->Score(std::span(&query, 1)).size(), 200u);
}

TEST(TextIndex, PartsOfOneSourceAndTurnsOfAConversationAreJoined) {
  TextIndex index;
  index.Add(MakeEntry(1, 0, 2), Passages({1, 1}));
  index.Add(MakeEntry(2, 2, 1), Passages({1}));
  index.Add(MakeEntry(3, 3, 1, "", "a.txt"), Passages({1}));
  index.Add(MakeEntry(4, 4, 1, "", "a.txt"), Passages({1}));
  index.Add(MakeEntry(5, 5, 1, "", "b.txt"), Passages({1}));
  index.Add(MakeEntry(6, 6, 1, "Ann", "c"), Passages({1}));
  index.Add(MakeEntry(7, 7, 1, "Bob", "d"), Passages({1}));
  const auto view = index.View();
  EXPECT_TRUE(view->Joined(0)) << "two passages of one entry";
  EXPECT_FALSE(view->Joined(1)) << "two notes without a source";
  EXPECT_FALSE(view->Joined(2)) << "a note and a document";
  EXPECT_TRUE(view->Joined(3)) << "two parts of one document";
  EXPECT_FALSE(view->Joined(4)) << "two documents";
  EXPECT_FALSE(view->Joined(5)) << "a document and a turn";
  EXPECT_TRUE(view->Joined(6)) << "two turns";
  EXPECT_FALSE(view->Joined(7)) << "nothing follows the last";
}

TEST(TextIndex, EntriesDecodeToWhatWasEncodedAndNotWhenCut) {
  Entry entry = MakeEntry(7, 9, 3, "Ann", "notes.txt");
  entry.time_us = -5;
  entry.source_offset = 1ull << 40;
  entry.metadata = {{"k", "v"}, {"", ""}, {"kk", std::string("\0\n", 2)}};
  const std::string bytes = EncodeEntry(entry);
  Entry decoded;
  ASSERT_TRUE(DecodeEntry(bytes, decoded));
  EXPECT_EQ(decoded.number, entry.number);
  EXPECT_EQ(decoded.text, entry.text);
  EXPECT_EQ(decoded.role, entry.role);
  EXPECT_EQ(decoded.time_us, entry.time_us);
  EXPECT_EQ(decoded.source, entry.source);
  EXPECT_EQ(decoded.source_offset, entry.source_offset);
  EXPECT_EQ(decoded.metadata, entry.metadata);
  EXPECT_EQ(decoded.seq_first, entry.seq_first);
  EXPECT_EQ(decoded.seq_count, entry.seq_count);
  for (size_t size = 0; size < bytes.size(); ++size) {
    Entry cut;
    ASSERT_FALSE(DecodeEntry(bytes.substr(0, size), cut)) << size;
  }
  EXPECT_FALSE(DecodeEntry(bytes + '\0', decoded));
}

TEST(TextIndex, TermsDecodeToWhatWasEncodedAndNotWhenCut) {
  const EntryTerms terms = Passages({1, 2, 3});
  const std::string bytes = EncodeEntryTerms(terms);
  EntryTerms decoded;
  ASSERT_TRUE(DecodeEntryTerms(bytes, decoded));
  ASSERT_EQ(decoded.passages.size(), terms.passages.size());
  for (size_t p = 0; p < terms.passages.size(); ++p) {
    EXPECT_EQ(decoded.passages[p].bytes, terms.passages[p].bytes);
    EXPECT_EQ(decoded.passages[p].tokens, terms.passages[p].tokens);
  }
  EXPECT_EQ(decoded.terms, terms.terms);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EntryTerms cut;
    ASSERT_FALSE(DecodeEntryTerms(bytes.substr(0, size), cut)) << size;
  }
}

}  // namespace
}  // namespace mneme::memory
