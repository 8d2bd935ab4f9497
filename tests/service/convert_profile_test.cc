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
  proto.mutable_sink()->set_tokens(4);
  proto.mutable_window()->set_commit(v1::COMMIT_POLICY_SEGMENT);
  proto.mutable_knn()->set_top_k(7);
  proto.mutable_knn()->mutable_positions()->set_policy(
      v1::POSITION_POLICY_CONST);
  proto.mutable_knn()->mutable_positions()->set_distance(2048);
  proto.mutable_compressive()->set_segment_tokens(16);
  proto.mutable_compressive()->set_update(v1::UPDATE_RULE_LINEAR);
  for (const float gate : {-1.F, 0.F, 1.F, 2.F}) {
    proto.mutable_compressive()->add_gate_logits(gate);
  }
  proto.mutable_compressive()->set_empty_memory(v1::EMPTY_MEMORY_STRICT);
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
  EXPECT_EQ(shown.position().yarn().attention_factor(), 1);
  EXPECT_EQ(shown.window().commit(), v1::COMMIT_POLICY_TOKEN);
  EXPECT_FALSE(shown.has_knn());
  EXPECT_FALSE(shown.has_compressive());
}

TEST(Profile, AWrongSettingIsRefusedByItsName) {
  struct Case {
    std::string field;
    std::function<void(v1::Profile&)> spoil;
  };
  const std::vector<Case> cases = {
      {"profile.data_type",
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
       [](auto& p) { p.mutable_position()->mutable_yarn()->set_factor(kNan); }},
      {"profile.position.yarn.beta_fast",
       [](auto& p) { p.mutable_position()->mutable_yarn()->set_beta_fast(0); }},
      {"profile.position.yarn.attention_factor",
       [](auto& p) {
         p.mutable_position()->mutable_yarn()->set_attention_factor(-1);
       }},
      {"profile.window.commit",
       [](auto& p) {
         p.mutable_window()->set_commit(static_cast<v1::CommitPolicy>(9));
       }},
      {"profile.knn.positions.policy",
       [](auto& p) {
         p.mutable_knn()->mutable_positions()->set_policy(
             static_cast<v1::PositionPolicy>(9));
       }},
      {"profile.compressive.update",
       [](auto& p) {
         p.mutable_compressive()->set_update(static_cast<v1::UpdateRule>(9));
       }},
      {"profile.compressive.empty_memory", [](auto& p) {
         p.mutable_compressive()->set_empty_memory(
             static_cast<v1::EmptyMemory>(9));
       }}};
  for (const Case& c : cases) {
    v1::Profile proto = FullProfile();
    c.spoil(proto);
    const auto profile = ProfileFromProto(proto);
    EXPECT_EQ(profile.status().code(), absl::StatusCode::kInvalidArgument)
        << c.field;
    EXPECT_EQ(base::DetailOf(profile.status()).field, c.field);
  }
}

TEST(ConvertProfile, EveryFamilyComesBackAsItWasSent) {
  v1::PositionEncoding rope;
  rope.set_theta(500000);
  std::vector<v1::PositionEncoding> all(7, rope);
  all[0].set_family(v1::POSITION_FAMILY_LINEAR);
  all[0].mutable_linear()->set_factor(4);
  all[1].set_family(v1::POSITION_FAMILY_NTK_AWARE);
  all[1].mutable_ntk_aware()->set_alpha(8);
  all[2].set_family(v1::POSITION_FAMILY_NTK_BY_PARTS);
  all[2].mutable_ntk_by_parts()->set_factor(4);
  all[2].mutable_ntk_by_parts()->set_original_length(2048);
  all[3].set_family(v1::POSITION_FAMILY_DYNAMIC_NTK);
  all[3].mutable_dynamic_ntk()->set_factor(2);
  all[3].mutable_dynamic_ntk()->set_max_position(2048);
  all[4].set_family(v1::POSITION_FAMILY_LONG_ROPE);
  for (int i = 0; i < 4; ++i) {
    all[4].mutable_long_rope()->add_short_factors(1 + i);
    all[4].mutable_long_rope()->add_long_factors(2 + i);
  }
  all[4].mutable_long_rope()->set_original_length(4096);
  all[4].mutable_long_rope()->set_max_position(131072);
  all[4].mutable_long_rope()->set_attention_factor(1.5);
  all[5].set_family(v1::POSITION_FAMILY_LLAMA3);
  all[5].mutable_llama3()->set_factor(8);
  all[5].mutable_llama3()->set_original_length(8192);
  all[5].mutable_llama3()->set_low_freq_factor(1);
  all[5].mutable_llama3()->set_high_freq_factor(4);
  all[6].Clear();
  all[6].set_family(v1::POSITION_FAMILY_ALIBI);
  all[6].mutable_alibi()->set_bias_max(16);
  all[6].mutable_alibi()->set_clip_distance(100);
  for (v1::PositionEncoding& position : all) {
    if (position.family() != v1::POSITION_FAMILY_ALIBI) {
      position.set_layout(v1::ROTARY_LAYOUT_INTERLEAVED);
      position.set_rotary_dim(8);
    }
    v1::Profile proto;
    proto.set_key_dim(8);
    proto.mutable_window()->set_tokens(10);
    *proto.mutable_position() = position;
    const auto profile = ProfileFromProto(proto);
    ASSERT_TRUE(profile.ok()) << profile.status();
    const auto complete = memory::Complete(*profile);
    ASSERT_TRUE(complete.ok()) << complete.status();
    EXPECT_EQ(ProfileToProto(*complete).position().DebugString(),
              position.DebugString());
    // And from the disk.
    EXPECT_EQ(*memory::DecodeProfile(memory::EncodeProfile(*complete)),
              *complete);
  }
}

}  // namespace
}  // namespace mneme::service
