#include "memory/context.h"

#include <string>

#include "gtest/gtest.h"
#include "memory/text/terms.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {
namespace {

TEST(Context, WhatCannotBeAskedIsRefusedByField) {
  const auto field = [](const ContextQuery& query) {
    const absl::Status status = CheckContextQuery(query);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return FieldOf(status);
  };
  EXPECT_EQ(field(AskContext(" ", 10)), "query");
  EXPECT_EQ(field(AskContext("words", 0)), "budget_tokens");
  EXPECT_EQ(field(AskContext("words", kBudgetTokensMax + 1)), "budget_tokens");
  EXPECT_EQ(field(AskContext("words", 1, kRecentEntriesMax + 1)),
            "recent_entries");
  EXPECT_TRUE(CheckContextQuery(
                  AskContext("words", kBudgetTokensMax, kRecentEntriesMax))
                  .ok());
}

class ContextTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 12; ++i) {
      const std::string number = std::to_string(i);
      // Of many lengths and scripts, and a heading of its own.
      std::string text = "Fact " + number + ": the garden has";
      for (int word = 0; word < i * 7; ++word) text += " wächst, 東京 ...";
      ASSERT_TRUE(Say(*session_, text, i % 3 == 0 ? "book " + number : "",
                      i % 2 == 0 ? "Ann" : "")
                      .ok());
    }
  }
  ContextResult Assemble(uint32_t budget, uint32_t recent) {
    return session_
        ->AssembleContext(AskContext("the garden has", budget, recent), Never)
        .value();
  }

  House house_;
  std::shared_ptr<Session> session_ = house_.CreateText();
};

TEST_F(ContextTest, TheBudgetIsNeverExceededWhateverItIs) {
  uint32_t most = 0;
  for (uint32_t budget = 1; budget <= 1200; ++budget) {
    for (const uint32_t recent : {0u, 2u}) {
      const ContextResult result = Assemble(budget, recent);
      ASSERT_EQ(result.tokens_used, TokenCount(result.context));
      ASSERT_LE(result.tokens_used, budget);
      ASSERT_EQ(result.citations.empty(), result.context.empty());
      most = std::max(most, result.tokens_used);
    }
  }
  EXPECT_GT(most, 600u);  // It was not kept by printing nothing.
}

TEST_F(ContextTest, CitationsMapBackToTheBytesOfTheLog) {
  const ContextResult result = Assemble(100000, 3);
  EXPECT_EQ(result.omitted, 0u);
  ASSERT_GE(result.citations.size(), 12u);
  uint64_t end = 0;
  uint64_t seq = 0;
  for (size_t i = 0; i < result.citations.size(); ++i) {
    const Citation& citation = result.citations[i];
    EXPECT_EQ(citation.mark, i + 1);
    EXPECT_TRUE(citation.passage.text.empty());
    EXPECT_GE(citation.context_span.begin, end);
    end = citation.context_span.end;
    if (i > 0) {
      EXPECT_GT(citation.passage.seq_first, seq);
    }
    seq = citation.passage.seq_first;
    // The entry's own text, by its number.
    const std::string quoted = result.context.substr(
        citation.context_span.begin,
        citation.context_span.end - citation.context_span.begin);
    EXPECT_EQ(citation.passage.span.end - citation.passage.span.begin,
              quoted.size());
    if (citation.passage.span.begin == 0) {
      const std::string head =
          "Fact " + std::to_string(citation.passage.entry - 1) + ":";
      EXPECT_EQ(quoted.substr(0, head.size()), head);
    }
    EXPECT_EQ(citation.recent, citation.passage.entry > 9);
  }
  EXPECT_EQ(end, result.context.size());
}

TEST_F(ContextTest, EachParagraphIsHeadedByMarkSourceAndRole) {
  const std::string context = Assemble(100000, 0).context;
  EXPECT_EQ(context.rfind("[1] book 0, Ann: Fact 0: the garden has", 0), 0u)
      << context.substr(0, 60);
  EXPECT_NE(context.find("\n\n[2]: Fact 1: the garden has"), std::string::npos);
}

TEST_F(ContextTest, RecentEntriesComeBeforeRecalledOnes) {
  ASSERT_TRUE(Say(*session_, "Unrelated and short.").ok());
  const ContextResult result = Assemble(16, 1);
  ASSERT_EQ(result.citations.size(), 1u);
  EXPECT_TRUE(result.citations[0].recent);
  EXPECT_EQ(result.citations[0].passage.entry, 13u);
  EXPECT_GT(result.omitted, 0u);
}

}  // namespace
}  // namespace mneme::memory
