#include "memory/recall.h"

#include <numeric>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {
namespace {

RecallResult Recalled(const Session& session, const RecallQuery& query) {
  return session.Recall(query, Never).value();
}

TEST(Recall, WhatCannotBeAskedIsRefusedByField) {
  const auto field = [](const RecallQuery& query) {
    const absl::Status status = CheckRecallQuery(query);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return FieldOf(status);
  };
  EXPECT_EQ(field(Ask("")), "query");
  EXPECT_EQ(field(Ask(" \n\t\r ")), "query");
  EXPECT_EQ(field(Ask("caf\xE9")), "query");
  const std::string longer(kQueryBytesMax + 1, 'x');
  EXPECT_EQ(field(Ask(longer)), "query");
  RecallQuery query = Ask("words");
  query.limit = 0;
  EXPECT_EQ(field(query), "limit");
  query.limit = kRecallLimitMax + 1;
  EXPECT_EQ(field(query), "limit");
  query.limit = kRecallLimitMax;
  EXPECT_TRUE(CheckRecallQuery(query).ok());
}

class RecallTest : public ::testing::Test {
 protected:
  void Add(const std::string& text, const std::string& source,
           const std::string& role, int64_t time_us) {
    TextEntry entry = Text(text);
    entry.source = source;
    entry.source_offset = 1000;
    entry.role = role;
    entry.time_us = time_us;
    entry.metadata = {{"kind", role.empty() ? "document" : "chat"}};
    ASSERT_TRUE(session_->AppendText(entry, {}).ok());
  }
  void SetUp() override {
    Add("The lighthouse keeper feeds seven cats.", "notes.txt", "", 1);
    Add("Bread is baked at dawn. The oven is older than the house.",
        "notes.txt", "", 2);
    Add("Did you lock the garden door?", "", "Ann", 3);
    Add("Yes, the key hangs behind the clock.", "", "Bob", 4);
    for (int i = 0; i < 100; ++i) {
      Add("Filler number " + std::to_string(i) + " says nothing.", "", "", 5);
    }
  }

  House house_;
  std::shared_ptr<Session> session_ = house_.CreateText();
};

TEST_F(RecallTest, ThePassageThatAnswersComesFirstWithItsPlace) {
  const RecallResult result = Recalled(*session_, Ask("how old is the oven"));
  ASSERT_FALSE(result.passages.empty());
  const RecalledPassage& best = result.passages[0];
  EXPECT_EQ(best.entry, 2u);
  EXPECT_EQ(best.source, "notes.txt");
  EXPECT_EQ(best.span.begin, 0u);
  EXPECT_EQ(best.span.end, best.text.size());
  EXPECT_EQ(best.source_span.begin, 1000u);
  EXPECT_EQ(best.source_span.end, 1000 + best.text.size());
  EXPECT_EQ(best.time_us, 2);
  EXPECT_EQ(best.tokens, 2u);
  EXPECT_EQ(best.tier, Tier::kKnn);
  EXPECT_EQ(result.seq_next, session_->Info().seq_next);
  bool oven = false;
  for (const ByteSpan& match : best.matches) {
    oven |= best.text.substr(match.begin, match.end - match.begin) == "oven";
  }
  EXPECT_TRUE(oven);
}

TEST_F(RecallTest, BestFirstAtMostTheLimitAndEachOnce) {
  RecallQuery query = Ask("filler number 7");
  for (const uint32_t limit : {1u, 3u, 50u}) {
    query.limit = limit;
    const RecallResult result = Recalled(*session_, query);
    EXPECT_EQ(result.passages.size(), limit);
    for (size_t i = 1; i < result.passages.size(); ++i) {
      EXPECT_GE(result.passages[i - 1].share, result.passages[i].share);
      EXPECT_NE(result.passages[i - 1].seq_first, result.passages[i].seq_first);
    }
  }
}

TEST_F(RecallTest, SharesOfTheTiersAndOfAllPassagesSumToOne) {
  for (const char* words :
       {"the lighthouse", "zyxwv", "...", "key behind the clock"}) {
    RecallQuery query = Ask(words);
    query.limit = kRecallLimitMax;
    const RecallResult result = Recalled(*session_, query);
    SCOPED_TRACE(words);
    EXPECT_NEAR(
        std::accumulate(result.shares.begin(), result.shares.end(), 0.0), 1,
        1e-5);
    double total = 0;
    for (const RecalledPassage& passage : result.passages) {
      total += passage.share;
    }
    EXPECT_LE(total, 1 + 1e-5);
  }
}

TEST_F(RecallTest, EveryGivenFilterMustMatch) {
  RecallQuery query = Ask("the house, the key, filler");
  query.limit = kRecallLimitMax;
  query.filter.source = "notes.txt";
  for (const RecalledPassage& p : Recalled(*session_, query).passages) {
    EXPECT_EQ(p.source, "notes.txt");
  }
  EXPECT_EQ(Recalled(*session_, query).passages.size(), 2u);
  query.filter.role = "Ann";
  EXPECT_TRUE(Recalled(*session_, query).passages.empty());
  query.filter.source.clear();
  query.filter.metadata = {{"kind", "chat"}};
  ASSERT_EQ(Recalled(*session_, query).passages.size(), 1u);
  EXPECT_EQ(Recalled(*session_, query).passages[0].role, "Ann");
  query.filter.metadata["other"] = "";
  EXPECT_TRUE(Recalled(*session_, query).passages.empty());
}

TEST_F(RecallTest, WhoSpokeIsSearchable) {
  const RecallResult result = Recalled(*session_, Ask("What did Bob say?"));
  ASSERT_FALSE(result.passages.empty());
  EXPECT_EQ(result.passages[0].role, "Bob");
}

TEST_F(RecallTest, TheNewestAreInTheWindow) {
  const RecallResult result = Recalled(*session_, Ask("filler number 99"));
  ASSERT_FALSE(result.passages.empty());
  EXPECT_EQ(result.passages[0].text, "Filler number 99 says nothing.");
  EXPECT_EQ(result.passages[0].tier, Tier::kWindow);
}

TEST_F(RecallTest, StopsWhenTheCallerIsGone) {
  const auto result = session_->Recall(Ask("words"), [] { return true; });
  EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace mneme::memory
