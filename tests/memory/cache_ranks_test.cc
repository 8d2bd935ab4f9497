#include "memory/cache_ranks.h"

#include "gtest/gtest.h"
#include "tests/memory/fixture.h"
#include "tests/memory/rows_fixture.h"

namespace mneme::memory {
namespace {

TEST(CacheRanks, CountLiveTokensOfSinkAndWindowInOrder) {
  testing::Random random(testing::Seed());
  const Profile profile = SmallProfile();
  const auto rows = RandomRows(profile, 300, /*position_step=*/10, random);
  SeqSet forgotten;
  forgotten.Add({1, 2});
  forgotten.Add({150, 250});
  forgotten.Add({282, 285});
  const CacheRanks ranks(
      {.sink = {0, 4}, .knn = {4, 280}, .window = {280, 300}}, forgotten, *rows,
      /*position_next=*/2991);
  EXPECT_EQ(ranks.OfSeq(0), 0);
  EXPECT_EQ(ranks.OfSeq(2), 1);
  EXPECT_EQ(ranks.OfSeq(100), 3);  // What lies between is not in the cache.
  EXPECT_EQ(ranks.OfSeq(280), 3);
  EXPECT_EQ(ranks.OfSeq(285), 5);
  EXPECT_EQ(ranks.OfSeq(300), 20);
  // A query at a token has its rank; behind the log it keeps its distance.
  EXPECT_EQ(ranks.OfPosition(20), 1);
  EXPECT_EQ(ranks.OfPosition(2850), 5);
  EXPECT_EQ(ranks.OfPosition(2851), 6);
  EXPECT_EQ(ranks.OfPosition(2991), 20);
  EXPECT_EQ(ranks.OfPosition(2995), 24);
}

}  // namespace
}  // namespace mneme::memory
