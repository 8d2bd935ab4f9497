// Every way to encode positions, through a session's tiers.

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"
#include "memory/segments.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {
namespace {

using attention::PositionConfig;
using attention::PositionFamily;

Profile WindowAndKnn(const PositionConfig& position, uint32_t window,
                     uint32_t top_k) {
  Profile profile;
  profile.layers = 1;
  profile.query_heads = 4;
  profile.kv_heads = 2;
  profile.key_dim = 16;
  profile.dtype = attention::DType::kF32;
  profile.position = position;
  profile.window = WindowTier{.tokens = window};
  profile.knn = KnnTier{.top_k = top_k};
  return profile;
}

std::vector<PositionConfig> EveryFamily() {
  std::vector<PositionConfig> all(9);
  all[0].family = PositionFamily::kRope;
  all[1].family = PositionFamily::kYarn;
  all[1].yarn = {.factor = 4, .original_length = 64};
  all[2].family = PositionFamily::kLinear;
  all[2].linear.factor = 4;
  all[3].family = PositionFamily::kNtkAware;
  all[3].ntk_aware.alpha = 8;
  all[4].family = PositionFamily::kNtkByParts;
  all[4].ntk_by_parts.factor = 4;
  all[4].ntk_by_parts.original_length = 64;
  all[5].family = PositionFamily::kDynamicNtk;
  all[5].dynamic_ntk = {.factor = 2, .max_position = 64};
  all[6].family = PositionFamily::kLongRope;
  all[6].long_rope = {.short_factors = std::vector<double>(8, 1.0),
                      .long_factors = std::vector<double>(8, 3.0),
                      .original_length = 64,
                      .max_position = 1024};
  all[7].family = PositionFamily::kLlama3;
  all[7].llama3.factor = 8;
  all[7].llama3.original_length = 64;
  all[8].family = PositionFamily::kAlibi;
  return all;
}

TEST(PositionFamilies, TiersMergeToTheWholeAndVerifyAgrees) {
  testing::Random random(testing::Seed());
  for (const PositionConfig& position : EveryFamily()) {
    SCOPED_TRACE(static_cast<int>(position.family));
    House house;
    const auto one = house.Create("one", WindowAndKnn(position, 1000, 0));
    const auto two = house.Create("two", WindowAndKnn(position, 20, 0));
    const Tokens tokens = RandomTokens(one->header().profile, 150, random);
    ASSERT_TRUE(one->AppendTokens(tokens.Rows(), {}).ok());
    ASSERT_TRUE(two->AppendTokens(tokens.Rows(), {}).ok());
    const AttendQuery query = RandomQuery(one->header().profile, 3, random);
    const auto whole = one->Attend(query, Never).value().outputs[0];
    const auto parts = two->Attend(query, Never).value().outputs[0];
    for (size_t i = 0; i < whole.lse.size(); ++i) {
      EXPECT_NEAR(whole.lse[i], parts.lse[i], 1e-5);
    }
    for (size_t i = 0; i < whole.output.size(); ++i) {
      EXPECT_NEAR(whole.output[i], parts.output[i], 1e-5);
    }
    // Against double precision, by code of its own.
    ExpectSound(*one);
    ExpectSound(*two);
  }
}

TEST(PositionFamilies, TopKIsThatOfAScanThoughTheLogGrows) {
  testing::Random random(testing::Seed());
  for (const PositionConfig& position : EveryFamily()) {
    SCOPED_TRACE(static_cast<int>(position.family));
    House house;
    const auto session = house.Create("s", WindowAndKnn(position, 20, 5));
    const Tokens tokens =
        RandomTokens(session->header().profile, kSealTokens + 100, random);
    ASSERT_TRUE(session->AppendTokens(tokens.Rows(), {}).ok());
    const AttendQuery query = RandomQuery(session->header().profile, 1, random);
    const AttendResult scanned = session->Attend(query, Never).value();
    while (session->SealOne().value()) {
    }
    ExpectSameAnswer(scanned, session->Attend(query, Never).value());
  }
}

TEST(PositionFamilies, GrowingThroughAThresholdEqualsAFreshSession) {
  testing::Random random(testing::Seed());
  for (const PositionConfig& position : EveryFamily()) {
    SCOPED_TRACE(static_cast<int>(position.family));
    House house;
    const auto grown = house.Create("grown", WindowAndKnn(position, 20, 0));
    const auto fresh = house.Create("fresh", WindowAndKnn(position, 20, 0));
    const Profile& profile = grown->header().profile;
    const Tokens tokens = RandomTokens(profile, 150, random);
    const AttendQuery query = RandomQuery(profile, 2, random);
    for (const auto& [begin, end] :
         {std::pair<int, int>{0, 40}, {40, 64}, {64, 65}, {65, 150}}) {
      ASSERT_TRUE(
          grown->AppendTokens(Cut(profile, tokens, begin, end).Rows(), {})
              .ok());
      ASSERT_TRUE(grown->Attend(query, Never).ok());
    }
    ASSERT_TRUE(fresh->AppendTokens(tokens.Rows(), {}).ok());
    ExpectSameAnswer(grown->Attend(query, Never).value(),
                     fresh->Attend(query, Never).value());
  }
}

TEST(PositionFamilies, AlibiAtOneDistanceIsRefused) {
  PositionConfig position;
  position.family = PositionFamily::kAlibi;
  Profile profile = WindowAndKnn(position, 20, 0);
  profile.knn->positions.policy = PositionPolicy::kConst;
  const auto refused = Complete(profile);
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
  EXPECT_EQ(base::DetailOf(refused.status()).field,
            "profile.knn.positions.policy");
}

}  // namespace
}  // namespace mneme::memory
