#include "memory/readout.h"

#include "gtest/gtest.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {
namespace {

using testing::Random;
using testing::Seed;

TEST(Readout, TokensAreReadBackByTierAndInPages) {
  Random random(Seed());
  Profile profile = SmallProfile();
  profile.knn->dtype = attention::DType::kBF16;
  profile.knn->max_tokens = 20;
  profile = Complete(profile).value();
  House house;
  auto session = house.Create("s", profile);
  const Tokens tokens = RandomTokens(profile, 100, random);
  ASSERT_TRUE(session->AppendTokens(tokens.Rows(), {}).ok());
  // 3 sinks, 37 evicted, 20 in the kNN tier, 40 in the window.
  const TokensResult all =
      session->ReadTokens({.layer = 1, .tensors = true}).value();
  ASSERT_EQ(all.seqs.size(), 100u);
  EXPECT_EQ(all.tiers[0], Tier::kSink);
  EXPECT_EQ(all.tiers[3], std::nullopt);
  EXPECT_EQ(all.tiers[40], Tier::kKnn);
  EXPECT_EQ(all.tiers[60], Tier::kWindow);
  EXPECT_FALSE(all.next_seq.has_value());
  const TokensResult page =
      session
          ->ReadTokens({.layer = 1,
                        .seq_begin = 10,
                        .limit = 25,
                        .tiers = {Tier::kKnn, Tier::kSink}})
          .value();
  EXPECT_EQ(page.seqs.size(), 20u);
  EXPECT_EQ(page.seqs.front(), 40u);
  const TokensResult part =
      session->ReadTokens({.layer = 0, .seq_begin = 5, .limit = 7}).value();
  EXPECT_EQ(part.seqs.size(), 7u);
  EXPECT_EQ(part.next_seq, 12u);
  // Keys of the window as they came, those of the kNN tier rounded.
  for (uint32_t head = 0; head < profile.kv_heads; ++head) {
    const size_t bank = profile.kv_heads + head;
    const size_t bytes = profile.key_bytes();
    for (const uint64_t seq : {50, 70}) {
      const std::string sent =
          tokens.keys.substr((bank * 100 + seq) * bytes, bytes);
      const std::string got =
          all.keys.substr((head * 100 + seq) * bytes, bytes);
      const std::string rounded =
          Narrow(attention::DType::kF32,
                 Widen(attention::DType::kBF16,
                       Narrow(attention::DType::kBF16,
                              Widen(attention::DType::kF32, sent))));
      EXPECT_EQ(got, seq == 50 ? rounded : sent);
    }
  }
  EXPECT_EQ(FieldOf(session->ReadTokens({.layer = 2}).status()), "layer");
}

TEST(Readout, AStateThatTheCallerHasIsNotSentAgain) {
  Random random(Seed());
  Profile profile = SmallProfile();
  House house;
  auto session = house.Create("s", profile);
  const auto append = [&](uint64_t count) {
    ASSERT_TRUE(
        session->AppendTokens(RandomTokens(profile, count, random).Rows(), {})
            .ok());
  };
  append(60);
  const CompressiveRead first = session->CompressiveState(0).value();
  EXPECT_FALSE(first.matrix.empty());
  append(3);  // The state absorbs whole segments of 16.
  const CompressiveRead same =
      session->CompressiveState(0, first.version).value();
  EXPECT_TRUE(same.known);
  EXPECT_TRUE(same.matrix.empty());
  append(16);
  const CompressiveRead next =
      session->CompressiveState(0, first.version).value();
  EXPECT_FALSE(next.known);
  EXPECT_NE(next.version, first.version);
  session = house.Reopened("s");
  EXPECT_TRUE(session->CompressiveState(0, next.version)->known);
  // Another session of the same name has other versions.
  ASSERT_TRUE(house.memory().Delete({.space = "test", .session = "s"}).ok());
  session = house.Create("s", profile);
  append(79);
  EXPECT_FALSE(session->CompressiveState(0, next.version)->known);
}

TEST(Readout, PagesStopBeforeTheyOutgrowAMessage) {
  Profile profile = SmallProfile();
  profile.kv_heads = 64;
  profile.query_heads = 64;
  profile.layers = 1;
  profile.key_dim = profile.value_dim = 512;  // 256 KiB a token.
  profile.window = WindowTier{.tokens = 100};
  profile.compressive.reset();
  profile = Complete(profile).value();
  Random random(Seed());
  House house;
  auto session = house.Create("s", profile);
  ASSERT_TRUE(
      session->AppendTokens(RandomTokens(profile, 70, random).Rows(), {}).ok());
  uint64_t seen = 0;
  std::optional<uint64_t> next = 0;
  while (next) {
    const TokensResult page =
        session->ReadTokens({.layer = 0, .seq_begin = *next, .tensors = true})
            .value();
    EXPECT_LE(page.keys.size() + page.values.size(), kReadBytesMax);
    seen += page.seqs.size();
    next = page.next_seq;
  }
  EXPECT_EQ(seen, 70u);
}

}  // namespace
}  // namespace mneme::memory
