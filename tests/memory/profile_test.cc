#include "memory/profile.h"

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "gtest/gtest.h"
#include "memory/presets.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Profile WindowOnly() {
  Profile profile;
  profile.key_dim = 4;
  profile.window = WindowTier{.tokens = 8};
  return profile;
}

TEST(Profile, AbsentSettingsGetTheirDefaults) {
  const auto complete = Complete(WindowOnly());
  ASSERT_TRUE(complete.ok()) << complete.status();
  EXPECT_EQ(complete->name, "custom");
  EXPECT_EQ(complete->layers, 1u);
  EXPECT_EQ(complete->kv_heads, 1u);
  EXPECT_EQ(complete->query_heads, 1u);
  EXPECT_EQ(complete->value_dim, 4u);
  EXPECT_EQ(complete->logit_scale, 0.5);
  EXPECT_EQ(complete->position.rotary_dim, 4);
}

TEST(Profile, CompletingTwiceChangesNothing) {
  for (const Profile& profile : {SmallProfile(), ProfileByName("text").value(),
                                 Complete(WindowOnly()).value()}) {
    EXPECT_EQ(Complete(profile).value(), profile);
  }
}

using Spoil = std::function<void(Profile&)>;

using Rules = std::vector<std::pair<std::string, Spoil>>;

void ExpectRefused(const Rules& rules) {
  for (const auto& [field, spoil] : rules) {
    Profile profile = SmallProfile();
    spoil(profile);
    const auto refused = Complete(profile);
    ASSERT_FALSE(refused.ok()) << field;
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(FieldOf(refused.status()), field) << refused.status();
    EXPECT_NE(refused.status().message().find("expected"), std::string::npos)
        << refused.status();
  }
}

TEST(Profile, GeometryThatCannotBeIsRefusedByField) {
  ExpectRefused(
      {{"profile.name", [](Profile& p) { p.name = "Upper"; }},
       {"profile.name", [](Profile& p) { p.name = std::string(64, 'x'); }},
       {"profile.name", [](Profile& p) { p.name = std::string("a\0", 2); }},
       {"profile.layers", [](Profile& p) { p.layers = kLayersMax + 1; }},
       {"profile.kv_heads",
        [](Profile& p) { p.kv_heads = p.query_heads = kHeadsMax + 1; }},
       {"profile.query_heads", [](Profile& p) { p.query_heads = 1025; }},
       {"profile.query_heads", [](Profile& p) { p.query_heads = 3; }},
       {"profile.key_dim", [](Profile& p) { p.key_dim = 0; }},
       {"profile.key_dim", [](Profile& p) { p.key_dim = kHeadDimMax + 1; }},
       {"profile.value_dim", [](Profile& p) { p.value_dim = kHeadDimMax + 1; }},
       {"profile",
        [](Profile& p) {
          p.layers = kLayersMax;
          p.kv_heads = p.query_heads = 256;
          p.key_dim = p.value_dim = kHeadDimMax;
        }},
       {"profile.logit_scale", [](Profile& p) { p.logit_scale = -1; }},
       {"profile.logit_scale", [](Profile& p) { p.logit_scale = kNan; }},
       {"profile.logit_scale", [](Profile& p) { p.logit_scale = kInfinity; }},
       {"profile.sink.tokens",
        [](Profile& p) { p.sink = SinkTier{.tokens = kSinkTokensMax + 1}; }}});
}

TEST(Profile, TiersThatContradictThemselvesAreRefusedByField) {
  ExpectRefused(
      {{"profile.window.tokens", [](Profile& p) { p.window->tokens = 0; }},
       {"profile.window.tokens",
        [](Profile& p) { p.window->tokens = kTierTokensMax + 1; }},
       {"profile.window.tokens",
        [](Profile& p) { p.window->commit = CommitPolicy::kSegment; }},
       {"profile.window.commit",
        [](Profile& p) {
          p.window = WindowTier{.commit = CommitPolicy::kSegment};
          p.compressive.reset();
        }},
       {"profile.knn.top_k", [](Profile& p) { p.knn->top_k = kTopKMax + 1; }},
       {"profile.knn.positions.distance",
        [](Profile& p) { p.knn->positions.distance = 1; }},
       {"profile.knn.positions.distance",
        [](Profile& p) {
          p.knn->positions.policy = PositionPolicy::kConst;
          p.knn->positions.distance = -1;
        }},
       {"profile.knn.positions.distance",
        [](Profile& p) {
          p.knn->positions.policy = PositionPolicy::kConst;
          p.knn->positions.distance = kPositionMax + 1;
        }},
       {"profile.window.block_tokens",
        [](Profile& p) { p.window->commit = CommitPolicy::kBlock; }},
       {"profile.window.block_tokens",
        [](Profile& p) { p.window->block_tokens = 4; }},
       {"profile.sink.positions.policy",
        [](Profile& p) {
          p.sink->positions.policy = PositionPolicy::kCacheRank;
        }},
       {"profile.knn.positions.policy",
        [](Profile& p) {
          p.knn->positions.policy = PositionPolicy::kCacheRank;
        }},
       {"profile.knn.positions.policy",
        [](Profile& p) {
          p.position.family = attention::PositionFamily::kAlibi;
          p.knn->positions.policy = PositionPolicy::kConst;
        }},
       {"profile.knn.positions.policy",
        [](Profile& p) {
          p.position.family = attention::PositionFamily::kLearned;
          p.knn->positions.policy = PositionPolicy::kNone;
        }},
       {"profile.knn.chunk_tokens",
        [](Profile& p) { p.knn->chunk_tokens = kChunkTokensMax + 1; }},
       {"profile.knn.top_k",
        [](Profile& p) {
          p.knn->chunk_tokens = 4;
          p.knn->top_k = 9;
        }},
       {"profile.knn.chunk_score",
        [](Profile& p) {
          p.knn->chunk_tokens = 4;
          p.knn->chunk_score = ChunkScore::kLandmark;
        }},
       {"profile.knn.data_type",
        [](Profile& p) {
          p.dtype = attention::DType::kF16;
          p.knn->dtype = attention::DType::kF32;
        }},
       {"profile.knn.gate_logits",
        [](Profile& p) {
          p.knn->gate_logits = {1, 2, 3};
        }},
       {"profile.knn.empty_memory",
        [](Profile& p) {
          p.knn->empty_memory = attention::EmptyMemory::kStrict;
        }},
       {"profile.head_scales",
        [](Profile& p) {
          p.head_scales = {1, 2};
        }},
       {"profile.head_scales", [](Profile& p) { p.head_scales = {0}; }},
       {"profile.logit_softcap", [](Profile& p) { p.logit_softcap = -1; }},
       {"profile.logit_softcap", [](Profile& p) { p.logit_softcap = kNan; }},
       {"profile.position.relative_bias.biases",
        [](Profile& p) {
          p.position.family = attention::PositionFamily::kRelativeBias;
        }},
       {"profile.position.relative_bias.biases", [](Profile& p) {
          p.position.family = attention::PositionFamily::kRelativeBias;
          p.position.relative_bias.biases = {1, 2, 3};
        }}});
}

TEST(Profile, FoldsAndPositionsThatCannotBeAreRefusedByField) {
  ExpectRefused(
      {{"profile.compressive.update",
        [](Profile& p) {
          p.compressive->update = UpdateRule::kDelta;
          p.compressive->performer = PerformerTier{.count = 8};
        }},
       {"profile.knn.max_tokens",
        [](Profile& p) {
          p.knn->top_k = 8;
          p.knn->chunk_tokens = 4;
          p.knn->max_tokens = 3;
        }},
       {"profile.knn",
        [](Profile& p) {
          p = ProfileByName("text").value();
          p.knn->gate_logits = {0};
        }},
       {"profile.knn",
        [](Profile& p) {
          p = ProfileByName("text").value();
          p.knn.reset();
        }},
       {"profile.compressive.segment_tokens",
        [](Profile& p) {
          p.compressive->update = UpdateRule::kDelta;
          p.compressive->segment_tokens = 1;
          p.key_dim = p.value_dim = 512;
        }},
       {"profile.compressive.performer.count",
        [](Profile& p) {
          p.compressive->performer = PerformerTier{.count = 4096};
          p.key_dim = 1024;
        }},
       {"profile.compressive.performer.count",
        [](Profile& p) { p.compressive->performer = PerformerTier{}; }},
       {"profile.compressive.segment_tokens",
        [](Profile& p) { p.compressive->segment_tokens = 0; }},
       {"profile.compressive.segment_tokens",
        [](Profile& p) { p.compressive->segment_tokens = kTierTokensMax + 1; }},
       {"profile.compressive.gate_logits",
        [](Profile& p) { p.compressive->gate_logits.clear(); }},
       {"profile.compressive.gate_logits",
        [](Profile& p) { p.compressive->gate_logits.assign(5, 0); }},
       {"profile.compressive.gate_logits",
        [](Profile& p) {
          p.compressive->gate_logits = {std::numeric_limits<float>::infinity()};
        }},
       {"profile",
        [](Profile& p) {
          p.window.reset();
          p.knn.reset();
          p.compressive.reset();
        }},
       {"profile.text_encoder", [](Profile& p) { p.text_encoder = "other"; }},
       {"profile",
        [](Profile& p) { p.text_encoder = "hash-words-ngrams-128"; }},
       {"profile.position.theta",
        [](Profile& p) {
          p.position.family = attention::PositionFamily::kRope;
          p.position.theta = 1;
        }},
       {"profile.position.rotary_dim",
        [](Profile& p) {
          p.position.family = attention::PositionFamily::kRope;
          p.position.rotary_dim = 3;
        }},
       {"profile.position.yarn.original_length", [](Profile& p) {
          p.position.family = attention::PositionFamily::kYarn;
        }}});
}

TEST(Profile, TheLimitsThemselvesAreAllowed) {
  Profile profile = SmallProfile();
  profile.sink = SinkTier{.tokens = static_cast<uint32_t>(kSinkTokensMax)};
  profile.window->tokens = kTierTokensMax;
  profile.knn->top_k = kTopKMax;
  profile.knn->positions.policy = PositionPolicy::kConst;
  profile.knn->positions.distance = kPositionMax;
  profile.compressive->segment_tokens = kTierTokensMax;
  profile.compressive->gate_logits.assign(8, 3);  // Layers times query heads.
  EXPECT_TRUE(Complete(profile).ok());
  profile.compressive->gate_logits.assign(4, 3);  // Query heads.
  EXPECT_TRUE(Complete(profile).ok());
}

TEST(Profile, NumbersAreOneForAllOrOfAHeadOrOfALayersHead) {
  const Profile profile = SmallProfile();  // 2 layers, 4 query heads.
  EXPECT_EQ(profile.OfHead({-1}, 1, 3), -1);
  EXPECT_EQ(profile.OfHead({0, 1, 2, 3}, 1, 3), 3);
  EXPECT_EQ(profile.OfHead({0, 1, 2, 3, 4, 5, 6, 7}, 0, 3), 3);
  EXPECT_EQ(profile.OfHead({0, 1, 2, 3, 4, 5, 6, 7}, 1, 2), 6);
}

}  // namespace
}  // namespace mneme::memory
