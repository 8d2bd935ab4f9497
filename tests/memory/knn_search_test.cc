#include "memory/knn_search.h"

#include <algorithm>
#include <vector>

#include "attention/kernels.h"
#include "gtest/gtest.h"
#include "tests/memory/fixture.h"
#include "tests/memory/rows_fixture.h"

namespace mneme::memory {
namespace {

using testing::Random;
using testing::Seed;

constexpr uint64_t kCount = 3 * kSealTokens + 100;

struct Case {
  Profile profile;
  attention::PositionEncoder encoder;
  LogView view;
};

Case MakeCase(PositionPolicy policy, Random& random) {
  Profile profile;
  profile.layers = 1;
  profile.query_heads = 2;
  profile.kv_heads = 2;
  profile.key_dim = 8;
  profile.value_dim = 1;
  profile.dtype = attention::DType::kF32;
  profile.knn = KnnTier{.top_k = 5, .positions = {.policy = policy}};
  profile.position.family = attention::PositionFamily::kRope;
  profile = Complete(profile).value();
  auto encoder =
      attention::PositionEncoder::Create(profile.position, 8).value();
  Case made{std::move(profile), std::move(encoder), {}};
  made.view =
      ViewOf(made.profile, RandomRows(made.profile, kCount, 3, random), kCount);
  return made;
}

std::shared_ptr<const Segment> Seal(const Case& c, uint64_t begin,
                                    PositionPolicy policy) {
  auto segment = std::make_shared<Segment>();
  segment->range = {begin, begin + kSealTokens};
  KeyReader reader(c.profile, c.encoder, FormOf({.policy = policy}, {}));
  for (size_t bank = 0; bank < 2; ++bank) {
    std::vector<float> keys;
    ForEachSlice(*c.view.rows, segment->range, [&](const BlockSlice& slice) {
      const float* rows = reader.Keys(slice, bank);
      keys.insert(keys.end(), rows, rows + slice.count * 8);
      return true;
    });
    segment->banks.push_back(
        BuildSegmentIndex(keys.data(), kSealTokens, 8).value());
  }
  return segment;
}

// Every key, one at a time.
std::vector<ScoredSeq> BruteForce(const Case& c, PositionPolicy policy,
                                  size_t bank, SeqRange range, size_t k,
                                  const float* query, int64_t position) {
  std::vector<ScoredSeq> all;
  KeyReader reader(c.profile, c.encoder, FormOf({.policy = policy}, {}));
  ForEachSlice(*c.view.rows, range, [&](const BlockSlice& slice) {
    const float* keys = reader.Keys(slice, bank);
    for (size_t i = 0; i < slice.count; ++i) {
      const uint64_t seq = slice.seq_first + i;
      if (c.view.forgotten->Contains(seq)) continue;
      if (slice.block->positions()[slice.first + i] > position) continue;
      float logit;
      attention::DotRows(query, 1, keys + i * 8, 1, 8, &logit);
      all.push_back({logit, seq});
    }
    return true;
  });
  std::sort(all.begin(), all.end(), Better);
  all.resize(std::min(all.size(), k));
  return all;
}

void ExpectExact(const Case& c, PositionPolicy policy, SeqRange range,
                 size_t query_rows, Random& random) {
  const size_t k = 1 + random.Int(0, 40);
  const size_t bank = random.Int(0, 1);
  std::vector<int64_t> positions;
  for (size_t r = 0; r < query_rows; ++r) {
    positions.push_back(random.Int(0, kCount * 3));
  }
  const LayerRead read{.rows = query_rows,
                       .queries = random.Normals(2 * query_rows * 8),
                       .positions = positions};
  TierScorer scorer(c.view, c.encoder, {.policy = policy}, {}, read, positions);
  const auto head = static_cast<uint32_t>(bank);
  const auto found = SearchTopK(c.view, scorer, head, range, k, Never);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), query_rows);
  for (size_t r = 0; r < query_rows; ++r) {
    const auto expected = BruteForce(
        c, policy, bank, range, k, scorer.Queries(head) + r * 8, positions[r]);
    ASSERT_EQ((*found)[r].size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ((*found)[r][i].seq, expected[i].seq) << "rank " << i;
      ASSERT_EQ((*found)[r][i].logit, expected[i].logit);
    }
  }
}

TEST(KnnSearch, EqualsBruteForceHoweverMuchIsSealed) {
  Random random(Seed());
  for (const auto policy : {PositionPolicy::kNone, PositionPolicy::kAbsolute}) {
    Case c = MakeCase(policy, random);
    auto forgotten = std::make_shared<SeqSet>();
    for (int i = 0; i < 30; ++i) {
      const auto begin = static_cast<uint64_t>(random.Int(0, kCount - 1));
      forgotten->Add({begin, begin + random.Int(1, 100)});
    }
    c.view.forgotten = forgotten;
    std::vector<std::shared_ptr<const Segment>> sealed;
    for (uint64_t run = 0; run < 3; ++run) {
      sealed.push_back(Seal(c, run * kSealTokens, policy));
    }
    // Every subset of runs is sealed, the others are hot.
    for (uint32_t mask = 0; mask < 8; ++mask) {
      auto segments = std::make_shared<SegmentList>();
      for (uint32_t run = 0; run < 3; ++run) {
        if (mask >> run & 1) segments->push_back(sealed[run]);
      }
      c.view.segments = segments;
      SCOPED_TRACE(mask);
      for (const size_t rows : {1, 3, 20}) {  // 20: scanned, not searched.
        ExpectExact(c, policy, {0, kCount}, rows, random);
        // Sealed runs that stand out at either end.
        ExpectExact(c, policy, {5, kSealTokens + 7}, rows, random);
        ExpectExact(c, policy, {kSealTokens, 3 * kSealTokens}, rows, random);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(KnnSearch, EqualKeysAreChosenByAge) {
  Random random(Seed());
  Case c = MakeCase(PositionPolicy::kNone, random);
  for (size_t block = 0; block < c.view.rows->size(); ++block) {
    RowBlock& rows = *(*c.view.rows)[block];
    std::fill_n(reinterpret_cast<float*>(rows.keys(0)), kBlockTokens * 8, 1.F);
    std::fill_n(reinterpret_cast<float*>(rows.keys(1)), kBlockTokens * 8, 1.F);
  }
  auto segments = std::make_shared<SegmentList>();
  segments->push_back(Seal(c, kSealTokens, PositionPolicy::kNone));
  c.view.segments = segments;
  ExpectExact(c, PositionPolicy::kNone, {0, kCount}, 2, random);
  ExpectExact(c, PositionPolicy::kNone, {kSealTokens, 2 * kSealTokens}, 2,
              random);
}

TEST(KnnSearch, StopsWhenTheCallerIsGone) {
  Random random(Seed());
  const Case c = MakeCase(PositionPolicy::kNone, random);
  const LayerRead read{
      .rows = 1, .queries = random.Normals(16), .positions = {kPositionMax}};
  TierScorer scorer(c.view, c.encoder, {.policy = PositionPolicy::kNone}, {},
                    read, read.positions);
  int asked = 0;
  const auto found = SearchTopK(c.view, scorer, 0, {0, kCount}, 3,
                                [&] { return ++asked == 3; });
  EXPECT_EQ(found.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(asked, 3);
}

}  // namespace
}  // namespace mneme::memory
