#include "service/convert_position.h"

#include <vector>

#include "base/error.h"
#include "gtest/gtest.h"

namespace mneme::service {
namespace {

TEST(ConvertPosition, EveryFamilyComesBackAsItWasSent) {
  v1::PositionEncoding rope;
  rope.set_theta(500000);
  std::vector<v1::PositionEncoding> all(10, rope);
  all[0].set_family(v1::POSITION_FAMILY_LINEAR);
  all[0].mutable_linear()->set_factor(4);
  all[1].set_family(v1::POSITION_FAMILY_NTK_AWARE);
  all[1].mutable_ntk_aware()->set_alpha(8);
  all[2].set_family(v1::POSITION_FAMILY_NTK_BY_PARTS);
  all[2].mutable_ntk_by_parts()->set_factor(4);
  all[2].mutable_ntk_by_parts()->set_original_length(2048);
  all[2].mutable_ntk_by_parts()->set_beta_fast(2);
  all[2].mutable_ntk_by_parts()->set_beta_slow(0.5);
  all[2].mutable_ntk_by_parts()->set_gamma_fast(20);
  all[2].mutable_ntk_by_parts()->set_gamma_slow(3);
  all[2].mutable_ntk_by_parts()->set_ntk_factor(0.5);
  all[2].mutable_ntk_by_parts()->set_extrapolation_factor(0.25);
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
  all[7].Clear();
  all[7].set_family(v1::POSITION_FAMILY_RELATIVE_BIAS);
  all[7].mutable_relative_bias()->add_biases(0.5);
  all[8].Clear();
  all[8].set_family(v1::POSITION_FAMILY_LEARNED);
  all[9].set_family(v1::POSITION_FAMILY_XPOS);
  all[9].mutable_xpos()->set_scale_base(256);
  for (v1::PositionEncoding& position : all) {
    if (position.has_theta()) {
      position.set_layout(v1::ROTARY_LAYOUT_INTERLEAVED);
      position.set_rotary_dim(8);
    }
    const auto config = PositionFromProto(position);
    ASSERT_TRUE(config.ok()) << config.status();
    ASSERT_EQ(attention::Validate(*config, /*key_dim=*/8), absl::OkStatus());
    v1::PositionEncoding again;
    SetPosition(*config, &again);
    EXPECT_EQ(again.DebugString(), position.DebugString());
  }
}

TEST(ConvertPosition, ParametersOfAnotherFamilyAreRefused) {
  v1::PositionEncoding position;
  position.set_family(v1::POSITION_FAMILY_ROPE);
  position.mutable_yarn()->set_factor(2);
  const auto other = PositionFromProto(position);
  EXPECT_EQ(base::DetailOf(other.status()).field,
            "profile.position.parameters");
  position.set_family(v1::POSITION_FAMILY_LLAMA3);
  position.clear_yarn();
  const auto none = PositionFromProto(position);
  EXPECT_EQ(base::DetailOf(none.status()).field, "profile.position.parameters");
  // Families whose parameters all have defaults need none.
  for (const auto family :
       {v1::POSITION_FAMILY_ALIBI, v1::POSITION_FAMILY_XPOS}) {
    position.set_family(family);
    EXPECT_TRUE(PositionFromProto(position).ok());
  }
}

}  // namespace
}  // namespace mneme::service
