#include "service/convert_profile.h"

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "gtest/gtest.h"

namespace mneme::service {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// One with every message and number in it.
v1::Profile FullProfile() {
  v1::Profile proto;
  proto.set_name("full");
  proto.set_layers(2);
  proto.set_query_heads(4);
  proto.set_kv_heads(2);
  proto.set_key_dim(8);
  proto.set_value_dim(6);
  proto.set_data_type(v1::DATA_TYPE_BFLOAT16);
  proto.set_logit_scale(0.5);
  proto.mutable_position()->set_family(v1::POSITION_FAMILY_YARN);
  proto.mutable_position()->set_layout(v1::ROTARY_LAYOUT_INTERLEAVED);
  proto.mutable_position()->set_theta(5e5);
  proto.mutable_position()->set_rotary_dim(4);
  v1::Yarn* yarn = proto.mutable_position()->mutable_yarn();
  yarn->set_factor(4);
  yarn->set_original_length(4096);
  yarn->set_beta_fast(16);
  yarn->set_beta_slow(2);
  yarn->set_attention_factor(1.25);
  yarn->set_attn_factor(1.5);
  yarn->set_mscale(0.5);
  yarn->set_mscale_all_dim(0.25);
  yarn->set_extrapolation_factor(0.75);
  yarn->set_truncate(false);
  proto.add_head_scales(2);
  proto.set_logit_softcap(30);
  proto.set_normalization(v1::NORMALIZATION_L2);
  proto.mutable_sink()->set_tokens(4);
  proto.mutable_sink()->mutable_positions()->set_policy(
      v1::POSITION_POLICY_CLAMP);
  proto.mutable_sink()->mutable_positions()->set_distance(100);
  proto.mutable_window()->set_tokens(9);
  proto.mutable_window()->set_commit(v1::COMMIT_POLICY_BLOCK);
  proto.mutable_window()->set_block_tokens(14);
  proto.mutable_window()->mutable_positions()->set_policy(
      v1::POSITION_POLICY_LOCAL_ORIGIN);
  v1::KnnTier* knn = proto.mutable_knn();
  knn->set_top_k(14);
  knn->mutable_positions()->set_policy(v1::POSITION_POLICY_CONST);
  knn->mutable_positions()->set_distance(2048);
  knn->set_data_type(v1::DATA_TYPE_BFLOAT16);
  knn->set_chunk_tokens(7);
  knn->set_chunk_score(v1::CHUNK_SCORE_LANDMARK);
  knn->set_scope(v1::SELECTION_SCOPE_KV_GROUP);
  knn->set_max_tokens(1000);
  knn->add_gate_logits(-2);
  knn->set_empty_memory(v1::EMPTY_MEMORY_STRICT);
  v1::CompressiveTier* tier = proto.mutable_compressive();
  tier->set_segment_tokens(16);
  tier->set_update(v1::UPDATE_RULE_LINEAR);
  for (const float gate : {-1.F, 0.F, 1.F, 2.F}) tier->add_gate_logits(gate);
  tier->set_empty_memory(v1::EMPTY_MEMORY_STRICT);
  tier->mutable_performer()->set_count(32);
  tier->mutable_performer()->set_seed(5);
  tier->mutable_performer()->set_kernel(v1::PERFORMER_KERNEL_RELU);
  return proto;
}

TEST(Profile, ComesBackAsItWasSent) {
  const v1::Profile sent = FullProfile();
  const auto profile = ProfileFromProto(sent);
  ASSERT_TRUE(profile.ok()) << profile.status();
  const auto complete = memory::Complete(*profile);
  ASSERT_TRUE(complete.ok()) << complete.status();
  EXPECT_EQ(ProfileToProto(*complete).DebugString(), sent.DebugString());
}

TEST(Profile, WhatTheServerShowsMakesTheSameSession) {
  const memory::Profile text = memory::ProfileByName("text").value();
  const auto again = ProfileFromProto(ProfileToProto(text));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(memory::Complete(*again).value(), text);
}

TEST(Profile, EveryDefaultIsFilledInOnTheWayOut) {
  v1::Profile sent;
  sent.set_key_dim(16);
  sent.mutable_position()->set_family(v1::POSITION_FAMILY_YARN);
  sent.mutable_position()->mutable_yarn()->set_factor(1);
  sent.mutable_position()->mutable_yarn()->set_original_length(100);
  sent.mutable_window()->set_tokens(8);
  const auto profile = ProfileFromProto(sent);
  ASSERT_TRUE(profile.ok()) << profile.status();
  const auto complete = memory::Complete(*profile);
  ASSERT_TRUE(complete.ok()) << complete.status();
  const v1::Profile shown = ProfileToProto(*complete);
  EXPECT_EQ(shown.name(), "custom");
  EXPECT_EQ(shown.layers(), 1);
  EXPECT_EQ(shown.query_heads(), 1);
  EXPECT_EQ(shown.kv_heads(), 1);
  EXPECT_EQ(shown.value_dim(), 16);
  EXPECT_EQ(shown.data_type(), v1::DATA_TYPE_FLOAT16);
  EXPECT_EQ(shown.logit_scale(), 0.25);
  EXPECT_EQ(shown.position().layout(), v1::ROTARY_LAYOUT_HALF_SPLIT);
  EXPECT_EQ(shown.position().theta(), 10000);
  EXPECT_EQ(shown.position().rotary_dim(), 16);
  EXPECT_EQ(shown.position().yarn().beta_fast(), 32);
  EXPECT_EQ(shown.position().yarn().beta_slow(), 1);
  EXPECT_EQ(shown.position().yarn().attn_factor(), 1);
  // Computed: it must follow the factor when somebody edits what is shown.
  EXPECT_FALSE(shown.position().yarn().has_attention_factor());
  EXPECT_EQ(shown.window().commit(), v1::COMMIT_POLICY_TOKEN);
  EXPECT_FALSE(shown.has_knn());
  EXPECT_FALSE(shown.has_compressive());
}

struct Case {
  std::string field;
  std::function<void(v1::Profile&)> spoil;
};

void ExpectRefused(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    v1::Profile proto = FullProfile();
    c.spoil(proto);
    auto profile = ProfileFromProto(proto);
    if (profile.ok()) profile = memory::Complete(*profile);
    EXPECT_EQ(profile.status().code(), absl::StatusCode::kInvalidArgument)
        << c.field;
    EXPECT_EQ(base::DetailOf(profile.status()).field, c.field);
  }
}

TEST(Profile, AWrongNumberOrEncodingIsRefusedByItsName) {
  ExpectRefused(
      {{"profile.data_type",
        [](auto& p) { p.set_data_type(static_cast<v1::DataType>(9)); }},
       {"profile.logit_scale", [](auto& p) { p.set_logit_scale(0); }},
       {"profile.logit_scale", [](auto& p) { p.set_logit_scale(kNan); }},
       {"profile.position.family",
        [](auto& p) {
          p.mutable_position()->set_family(static_cast<v1::PositionFamily>(99));
        }},
       {"profile.position.layout",
        [](auto& p) {
          p.mutable_position()->set_layout(static_cast<v1::RotaryLayout>(9));
        }},
       {"profile.position.theta",
        [](auto& p) { p.mutable_position()->set_theta(0); }},
       {"profile.position.theta",
        [](auto& p) { p.mutable_position()->set_theta(kNan); }},
       {"profile.position.rotary_dim",
        [](auto& p) { p.mutable_position()->set_rotary_dim(0xffffffff); }},
       {"profile.position.parameters",
        [](auto& p) { p.mutable_position()->clear_yarn(); }},
       {"profile.position.parameters",
        [](auto& p) {
          p.mutable_position()->set_family(v1::POSITION_FAMILY_ROPE);
        }},
       {"profile.position.yarn.factor",
        [](auto& p) {
          p.mutable_position()->mutable_yarn()->set_factor(kNan);
        }},
       {"profile.position.yarn.beta_fast",
        [](auto& p) {
          p.mutable_position()->mutable_yarn()->set_beta_fast(0);
        }},
       {"profile.position.yarn.attention_factor", [](auto& p) {
          p.mutable_position()->mutable_yarn()->set_attention_factor(-1);
        }}});
}

TEST(Profile, AWrongTierIsRefusedByItsName) {
  ExpectRefused(
      {{"profile.window.commit",
        [](auto& p) {
          p.mutable_window()->set_commit(static_cast<v1::CommitPolicy>(9));
        }},
       {"profile.knn.positions.policy",
        [](auto& p) {
          p.mutable_knn()->mutable_positions()->set_policy(
              static_cast<v1::PositionPolicy>(9));
        }},
       {"profile.logit_softcap", [](auto& p) { p.set_logit_softcap(0); }},
       {"profile.normalization",
        [](auto& p) {
          p.set_normalization(static_cast<v1::Normalization>(9));
        }},
       {"profile.sink.positions.policy",
        [](auto& p) {
          p.mutable_sink()->mutable_positions()->set_policy(
              static_cast<v1::PositionPolicy>(9));
        }},
       {"profile.sink.positions.distance",
        [](auto& p) {
          p.mutable_sink()->mutable_positions()->clear_distance();
        }},
       {"profile.window.positions.distance",
        [](auto& p) {
          p.mutable_window()->mutable_positions()->set_distance(1);
        }},
       {"profile.knn.data_type",
        [](auto& p) {
          p.mutable_knn()->set_data_type(static_cast<v1::DataType>(9));
        }},
       {"profile.knn.chunk_score",
        [](auto& p) {
          p.mutable_knn()->set_chunk_score(static_cast<v1::ChunkScore>(9));
        }},
       {"profile.knn.scope",
        [](auto& p) {
          p.mutable_knn()->set_scope(static_cast<v1::SelectionScope>(9));
        }},
       {"profile.knn.empty_memory",
        [](auto& p) {
          p.mutable_knn()->set_empty_memory(static_cast<v1::EmptyMemory>(9));
        }},
       {"profile.compressive.performer.kernel",
        [](auto& p) {
          p.mutable_compressive()->mutable_performer()->set_kernel(
              static_cast<v1::PerformerKernel>(9));
        }},
       {"profile.compressive.update",
        [](auto& p) {
          p.mutable_compressive()->set_update(static_cast<v1::UpdateRule>(9));
        }},
       {"profile.compressive.empty_memory", [](auto& p) {
          p.mutable_compressive()->set_empty_memory(
              static_cast<v1::EmptyMemory>(9));
        }}});
}

TEST(Presets, AGivenProfileReplacesWhatItNamesAndLeavesTheGeometryToComplete) {
  v1::Profile given;
  given.set_preset("infllm");
  given.set_key_dim(64);
  given.mutable_window()->set_tokens(100);
  const auto profile = ProfileFromProto(given);
  ASSERT_TRUE(profile.ok()) << profile.status();
  const memory::Profile made = memory::Complete(*profile).value();
  EXPECT_EQ(made.name, "infllm");
  EXPECT_EQ(made.query_heads, 32u);
  EXPECT_EQ(made.key_dim, 64u);
  // Completed by the given geometry, not by the preset's.
  EXPECT_EQ(made.value_dim, 64u);
  EXPECT_EQ(made.logit_scale, 1.0 / 8);
  EXPECT_EQ(made.position.rotary_dim, 64);
  // A message is replaced whole.
  EXPECT_EQ(made.window->commit, memory::CommitPolicy::kToken);
  EXPECT_EQ(made.knn->chunk_tokens, 128u);
}

TEST(Presets, EveryPresetIsShownWholeAndMakesItself) {
  for (const memory::Preset& preset : memory::Presets()) {
    v1::ProfilePreset shown;
    ASSERT_EQ(SetPreset(preset, &shown), absl::OkStatus());
    const auto again = ProfileFromProto(shown.profile());
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(memory::Complete(*again).value(),
              memory::Complete(preset.profile).value());
    v1::Profile by_name;
    by_name.set_preset(preset.profile.name);
    const auto named = ProfileFromProto(by_name);
    ASSERT_TRUE(named.ok()) << named.status();
    EXPECT_EQ(memory::Complete(*named).value(),
              memory::Complete(preset.profile).value());
  }
}

TEST(Presets, AnUnknownOneIsRefusedByField) {
  v1::Profile given;
  given.set_preset("longlama");
  const auto refused = ProfileFromProto(given);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(base::DetailOf(refused.status()).field, "profile.preset");
}

TEST(Profile, TheFirstDifferenceIsNamedWithBothValues) {
  const memory::Profile text = memory::ProfileByName("text").value();
  EXPECT_EQ(FirstDifference(text, text).field, "");
  memory::Profile other = text;
  other.knn->top_k = 7;
  const ProfileDifference number = FirstDifference(other, text);
  EXPECT_EQ(number.field, "knn.top_k");
  EXPECT_EQ(number.given, "7");
  EXPECT_EQ(number.existing, "1024");
  other = text;
  other.window.reset();
  const ProfileDifference message = FirstDifference(other, text);
  EXPECT_EQ(message.field, "window");
  EXPECT_EQ(message.given, "nothing");
  other = text;
  other.compressive->gate_logits = {1, 2};
  const ProfileDifference list = FirstDifference(other, text);
  EXPECT_EQ(list.field, "compressive.gate_logits");
  EXPECT_EQ(list.given, "2 numbers");
}

}  // namespace
}  // namespace mneme::service
