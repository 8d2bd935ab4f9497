#include "memory/text/fusion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/memory/text/random_text.h"

namespace mneme::memory {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

bool Apart(uint32_t) { return false; }

// A float share is rounded once; its double is good to far more.
constexpr float kRounding = 4 * std::numeric_limits<float>::epsilon();

TEST(Fusion, NoEvidenceFindsNothing) {
  EXPECT_THAT(Fuse({}, {}, Apart), IsEmpty());
  EXPECT_THAT(Fuse({.passage_count = 5}, {}, Apart), IsEmpty());
  const SemanticEvidence none = {.lse =
                                     -std::numeric_limits<float>::infinity()};
  EXPECT_THAT(Fuse({.passage_count = 5}, std::vector{none}, Apart), IsEmpty());
}

TEST(Fusion, TheLexicalHeadAloneIsASoftmaxOverAllPassages) {
  const std::vector<ScoredPassage> scores = {{1, 4.0f}, {3, 2.0f}};
  const auto fused = Fuse({.passage_count = 5, .scores = scores}, {}, Apart);
  ASSERT_THAT(fused, SizeIs(2));
  const double sum = std::exp(2.0) + std::exp(1.0) + 3;
  EXPECT_EQ(fused[0].passage, 1u);
  EXPECT_NEAR(fused[0].share, std::exp(2.0) / sum, kRounding);
  EXPECT_EQ(fused[0].lexical_share, fused[0].share);
  EXPECT_EQ(fused[1].passage, 3u);
  EXPECT_NEAR(fused[1].share, std::exp(1.0) / sum, kRounding);
}

TEST(Fusion, ASemanticHeadsRowsAddUpByPassage) {
  const std::vector<RowLogit> rows = {{2, 1.0f}, {7, 0.5f}, {2, 0.0f}};
  const float lse = 2.0f;  // There were more rows than these.
  const std::vector<SemanticEvidence> head = {
      {.weight = 1, .rows = rows, .lse = lse}};
  const auto fused = Fuse({.weight = 0, .passage_count = 9}, head, Apart);
  ASSERT_THAT(fused, SizeIs(2));
  const double kept = 1 + 2 * double{kNeighbourWeight};
  EXPECT_EQ(fused[0].passage, 2u);
  EXPECT_NEAR(fused[0].share, (std::exp(-1.0) + std::exp(-2.0)) / kept,
              kRounding);
  EXPECT_NEAR(fused[1].share, std::exp(-1.5) / kept, kRounding);
  EXPECT_EQ(fused[0].semantic_shares, std::vector{fused[0].share});
}

TEST(Fusion, NeighboursOfOneSourceSupportEachOther) {
  const std::vector<ScoredPassage> scores = {{1, 5.0f}, {4, 5.0f}, {5, 1.0f}};
  const auto joined = [](uint32_t p) { return p >= 4 && p <= 5; };
  const auto fused = Fuse({.passage_count = 8, .scores = scores}, {}, joined);
  ASSERT_THAT(fused, SizeIs(4));
  EXPECT_EQ(fused[0].passage, 4u);  // 5 + 0.2 * 1.
  EXPECT_EQ(fused[1].passage, 1u);  // 5, alone.
  EXPECT_EQ(fused[2].passage, 5u);  // 1 + 0.2 * 5.
  EXPECT_EQ(fused[3].passage, 6u);  // 0.2 * 1: found by its neighbour alone.
  EXPECT_NEAR(fused[0].share / fused[1].share,
              std::exp(kNeighbourWeight / kLexicalTemperature), 1e-5);
}

TEST(Fusion, WhereTheLexicalHeadIsFlatTheSemanticHeadsDecide) {
  const std::vector<RowLogit> rows = {{3, 10.0f}, {1, 2.0f}};
  const std::vector<SemanticEvidence> heads(
      2, SemanticEvidence{.rows = rows, .lse = 10.1f});
  const auto fused = Fuse({.passage_count = 100}, heads, Apart);
  ASSERT_THAT(fused, SizeIs(2));
  EXPECT_EQ(fused[0].passage, 3u);
}

TEST(Fusion, TiesAreBrokenById) {
  const std::vector<ScoredPassage> scores = {{2, 1.0f}, {4, 1.0f}, {6, 1.0f}};
  const auto fused = Fuse({.passage_count = 8, .scores = scores}, {}, Apart);
  ASSERT_THAT(fused, SizeIs(3));
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(fused[i].passage, scores[i].passage);
}

TEST(Fusion, ExtremeScoresStayFinite) {
  const std::vector<ScoredPassage> scores = {{0, 30000.0f}, {1, 1.0f}};
  const std::vector<RowLogit> rows = {{0, 16.0f}, {1, -16.0f}};
  const std::vector<SemanticEvidence> head = {{.rows = rows, .lse = 16.0f}};
  const auto fused = Fuse({.passage_count = 2, .scores = scores}, head, Apart);
  ASSERT_THAT(fused, SizeIs(2));
  EXPECT_EQ(fused[0].passage, 0u);
  EXPECT_NEAR(fused[0].lexical_share, 1.0f, kRounding);
  EXPECT_TRUE(std::isfinite(fused[1].share));
}

// What recall tells its caller: shares are of one whole, and the total is
// explained by the heads.
TEST(Fusion, SharesAddUpToAtMostOneAndExplainTheTotal) {
  RandomText random(testing::Seed());
  for (int round = 0; round < 500; ++round) {
    const uint32_t n = static_cast<uint32_t>(1 + random.Below(40));
    const uint64_t sources = random.Below(1 << 20);
    std::vector<ScoredPassage> scores;
    for (uint32_t p = 0; p < n; ++p) {
      if (random.Below(2) == 0) {
        scores.push_back({p, static_cast<float>(20 * random.Uniform() + .01)});
      }
    }
    std::vector<std::vector<RowLogit>> rows(2);
    std::vector<SemanticEvidence> heads;
    for (auto& head_rows : rows) {
      double sum = 0;
      const size_t row_count = random.Below(50);
      for (size_t i = 0; i < row_count; ++i) {
        const float logit = static_cast<float>(16 * random.Uniform());
        sum += std::exp(double{logit});
        if (random.Below(3) != 0) {
          head_rows.push_back({static_cast<uint32_t>(random.Below(n)), logit});
        }
      }
      heads.push_back(
          {.rows = head_rows, .lse = static_cast<float>(std::log(sum))});
    }
    const auto fused =
        Fuse({.passage_count = n, .scores = scores}, heads, [&](uint32_t p) {
          return p + 1 < n && (sources >> (p % 20) & 1) != 0;
        });
    // A float lse near 20 is off by 1e-6: masses are, too.
    constexpr double kTolerance = 1e-5;
    double total = 0;
    double lexical = 0;
    for (size_t i = 0; i < fused.size(); ++i) {
      if (i > 0) {
        EXPECT_GE(fused[i - 1].share, fused[i].share);
      }
      ASSERT_THAT(fused[i].semantic_shares, SizeIs(2));
      EXPECT_NEAR(fused[i].share,
                  (kLexicalWeight * fused[i].lexical_share +
                   kSemanticWeight * (fused[i].semantic_shares[0] +
                                      fused[i].semantic_shares[1])) /
                      (kLexicalWeight + 2 * kSemanticWeight),
                  kTolerance);
      total += fused[i].share;
      lexical += fused[i].lexical_share;
    }
    EXPECT_LE(total, 1 + kTolerance);
    EXPECT_LE(lexical, 1 + kTolerance);
  }
}

}  // namespace
}  // namespace mneme::memory
