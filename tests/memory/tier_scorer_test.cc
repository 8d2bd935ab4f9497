#include "memory/tier_scorer.h"

#include <cmath>
#include <numeric>

#include "gtest/gtest.h"
#include "tests/memory/fixture.h"
#include "tests/memory/rows_fixture.h"

namespace mneme::memory {
namespace {

using testing::Random;
using testing::Seed;

// Answers must not depend on whether a key was found by a scan or an index.
TEST(TierScorer, EveryFormOfALogitHasTheSameBits) {
  constexpr uint64_t kCount = 200;
  constexpr size_t kRows = 2;
  Random random(Seed());
  for (const auto family :
       {attention::PositionFamily::kRope, attention::PositionFamily::kXpos,
        attention::PositionFamily::kAlibi}) {
    for (const auto policy :
         {PositionPolicy::kAbsolute, PositionPolicy::kConst,
          PositionPolicy::kNone, PositionPolicy::kClamp,
          PositionPolicy::kLocalOrigin, PositionPolicy::kCacheRank}) {
      Profile profile = SmallProfile();
      profile.compressive.reset();
      profile.position.family = family;
      profile.normalization = Normalization::kL2AddedEpsilon;
      profile.logit_softcap = 2;
      profile.head_scales = {1, 2, 3, 4};
      const auto encoder =
          attention::PositionEncoder::Create(profile.position, 8).value();
      const LogView view =
          ViewOf(profile, RandomRows(profile, kCount, 3, random), kCount);
      const LayerRead read{
          .layer = 1, .rows = kRows, .queries = random.Normals(4 * kRows * 8)};
      TierScorer scorer(view, encoder, {.policy = policy, .distance = 90},
                        attention::DType::kBF16, read, {650, 700});
      std::vector<uint64_t> seqs;
      for (uint64_t seq = 165; seq < 195; ++seq) seqs.push_back(seq);
      std::vector<float> scanned(scorer.bank_rows() * seqs.size());
      std::vector<float> gathered(scanned.size());
      std::vector<float> row(seqs.size());
      const BlockSlice slice{(*view.rows)[1].get(), 165, 165 - 128,
                             seqs.size()};
      for (uint32_t head = 0; head < profile.kv_heads; ++head) {
        scorer.Score(slice, head, scanned.data());
        scorer.ScoreTokens(seqs, head, gathered.data());
        EXPECT_EQ(scanned, gathered);
        for (size_t r = 0; r < scorer.bank_rows(); ++r) {
          scorer.ScoreTokens(seqs, head, r, row.data());
          EXPECT_TRUE(std::equal(row.begin(), row.end(),
                                 scanned.begin() + r * seqs.size()));
        }
      }
    }
  }
}

TEST(TierScorer, KeysBehindARowAndLandmarksAreNotSeen) {
  Random random(Seed());
  Profile profile = SmallProfile();
  profile.window = WindowTier{
      .tokens = 1, .commit = CommitPolicy::kBlock, .block_tokens = 4};
  profile.knn->chunk_tokens = 4;
  profile.knn->chunk_score = ChunkScore::kLandmark;
  profile = Complete(profile).value();
  const auto encoder =
      attention::PositionEncoder::Create(profile.position, 8).value();
  const LogView view = ViewOf(profile, RandomRows(profile, 10, 1, random), 10);
  const LayerRead read{.layer = 0, .rows = 1, .queries = random.Normals(4 * 8)};
  TierScorer scorer(view, encoder, {}, {}, read, {5});
  std::vector<float> logits(scorer.bank_rows() * 10);
  scorer.Score({(*view.rows)[0].get(), 0, 0, 10}, 0, logits.data());
  for (size_t i = 0; i < 10; ++i) {
    const bool hidden = i == 3 || i > 5;
    EXPECT_EQ(std::isinf(logits[i]), hidden) << i;
  }
}

}  // namespace
}  // namespace mneme::memory
