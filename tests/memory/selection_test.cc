#include "memory/selection.h"

#include <cmath>

#include "gtest/gtest.h"
#include "tests/memory/fixture.h"
#include "tests/memory/rows_fixture.h"

namespace mneme::memory {
namespace {

using testing::Random;
using testing::Seed;

// Keys of one component, so that a logit is the number written here.
struct Line {
  Line(KnnTier knn, std::vector<float> keys, std::vector<float> queries)
      : read{.layer = 0, .rows = 1, .queries = std::move(queries)} {
    profile.layers = 1;
    profile.kv_heads = 1;
    profile.query_heads = static_cast<uint32_t>(read.queries.size());
    profile.key_dim = profile.value_dim = 1;
    profile.dtype = attention::DType::kF32;
    profile.logit_scale = 1;
    if (knn.chunk_score == ChunkScore::kLandmark) {
      profile.window = WindowTier{.tokens = 1,
                                  .commit = CommitPolicy::kBlock,
                                  .block_tokens = knn.chunk_tokens};
    }
    profile.knn = std::move(knn);
    profile = Complete(profile).value();
    Random random(1);
    auto rows = RandomRows(profile, keys.size(), 1, random);
    for (size_t i = 0; i < keys.size(); ++i) {
      std::memcpy((*rows)[0]->keys(0) + i * sizeof(float), &keys[i],
                  sizeof(float));
    }
    view = ViewOf(profile, rows, keys.size());
  }

  std::vector<std::vector<ScoredSeq>> Select(size_t k, int64_t position = 99) {
    const auto encoder =
        attention::PositionEncoder::Create(profile.position, 1).value();
    TierScorer scorer(view, encoder, {}, {}, read, {position});
    return SelectKeys(view, scorer, 0, {0, view.seq_next}, k, Never).value();
  }

  Profile profile;
  LayerRead read;
  LogView view;
};

std::vector<uint64_t> SeqsOf(const std::vector<ScoredSeq>& chosen) {
  std::vector<uint64_t> seqs;
  for (const ScoredSeq& key : chosen) seqs.push_back(key.seq);
  return seqs;
}

TEST(Selection, ChunksAreChosenByTheirMeanKeyAndReadWhole) {
  // Means 2, 5, 3; the largest single key is in the chunk that loses.
  Line line({.top_k = 4, .chunk_tokens = 2}, {9, -5, 5, 5, 3, 3}, {1});
  const auto chosen = line.Select(2);
  EXPECT_EQ(SeqsOf(chosen[0]), (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(chosen[0][0].logit, 5);
  EXPECT_EQ(SeqsOf(line.Select(4)[0]), (std::vector<uint64_t>{2, 3, 4, 5}));
}

TEST(Selection, AChunkCountsWhenItsLastTokenIsVisible) {
  Line line({.top_k = 2, .chunk_tokens = 2}, {1, 1, 5, 5}, {1});
  EXPECT_EQ(SeqsOf(line.Select(2, 3)[0]), (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(SeqsOf(line.Select(2, 2)[0]), (std::vector<uint64_t>{0, 1}));
}

// One head with logits ten times as large must not outvote the other: each has
// one softmax to give.
TEST(Selection, AGroupSumsSoftmaxesNotLogits) {
  const std::vector<float> keys = {1.0F, 0.9F, -1.0F, -1.1F};
  Line heads({.top_k = 1}, keys, {10, -1});
  EXPECT_EQ(SeqsOf(heads.Select(1)[0]), (std::vector<uint64_t>{0}));
  EXPECT_EQ(SeqsOf(heads.Select(1)[1]), (std::vector<uint64_t>{3}));
  Line group({.top_k = 1, .scope = SelectionScope::kKvGroup}, keys, {10, -1});
  const auto chosen = group.Select(2);
  EXPECT_EQ(SeqsOf(chosen[0]), SeqsOf(chosen[1]));
  // Mass of both heads: {0.73 + 0.05, 0.27 + 0.06, 0.42, 0.47}.
  EXPECT_EQ(SeqsOf(chosen[0]), (std::vector<uint64_t>{0, 3}));
  EXPECT_FLOAT_EQ(chosen[1][0].logit, -1);  // Each reads by its own logits.
}

TEST(Selection, ALandmarkGivesItsChunkItsOwnWeight) {
  Line line(
      {.top_k = 3, .chunk_tokens = 3, .chunk_score = ChunkScore::kLandmark},
      {7, 8, 1, 2, 4, 2, 0, 0, 0}, {1});
  // The second chunk's landmark is the largest, whatever its tokens say.
  const auto chosen = line.Select(3);
  EXPECT_EQ(SeqsOf(chosen[0]), (std::vector<uint64_t>{3, 4}));
  const double lse =
      std::log(std::exp(chosen[0][0].logit) + std::exp(chosen[0][1].logit));
  EXPECT_NEAR(lse, 2, 1e-6);
  EXPECT_NEAR(chosen[0][1].logit - chosen[0][0].logit, 2, 1e-6);
}

TEST(Selection, WhatIsForgottenIsNeitherScoredNorRead) {
  Line line({.top_k = 2, .chunk_tokens = 2}, {9, 1, 3, 3}, {1});
  auto forgotten = std::make_shared<SeqSet>();
  forgotten->Add({0, 1});
  line.view.forgotten = forgotten;
  EXPECT_EQ(SeqsOf(line.Select(2)[0]), (std::vector<uint64_t>{2, 3}));
  forgotten->Add({2, 4});
  EXPECT_EQ(SeqsOf(line.Select(2)[0]), (std::vector<uint64_t>{1}));
}

TEST(Selection, StopsWhenTheCallerIsGone) {
  for (const auto scope :
       {SelectionScope::kQueryHead, SelectionScope::kKvGroup}) {
    Line line({.top_k = 2, .chunk_tokens = 2, .scope = scope}, {1, 2, 3, 4},
              {1});
    const auto encoder =
        attention::PositionEncoder::Create(line.profile.position, 1).value();
    TierScorer scorer(line.view, encoder, {}, {}, line.read, {99});
    EXPECT_TRUE(
        absl::IsCancelled(SelectKeys(line.view, scorer, 0, {0, 4}, 2, [] {
                            return true;
                          }).status()));
  }
}

}  // namespace
}  // namespace mneme::memory
