#include "attention/position_config.h"

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "attention/position.h"
#include "base/error.h"
#include "gtest/gtest.h"

namespace mneme::attention {
namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();
const double kInfinity = std::numeric_limits<double>::infinity();

// Valid parameters of every family, for keys of 8 components.
PositionConfig Valid(PositionFamily family) {
  const std::vector<double> factors = {1, 1, 2, 3};
  return {.family = family,
          .yarn = {.factor = 4, .original_length = 2048},
          .linear = {.factor = 4},
          .ntk_aware = {.alpha = 4},
          .ntk_by_parts = {.factor = 4, .original_length = 2048},
          .dynamic_ntk = {.factor = 4, .max_position = 2048},
          .long_rope = {.short_factors = factors,
                        .long_factors = factors,
                        .original_length = 2048,
                        .max_position = 4096},
          .llama3 = {.factor = 8, .original_length = 8192}};
}

constexpr PositionFamily kFamilies[] = {
    PositionFamily::kNone,       PositionFamily::kRope,
    PositionFamily::kYarn,       PositionFamily::kLinear,
    PositionFamily::kNtkAware,   PositionFamily::kNtkByParts,
    PositionFamily::kDynamicNtk, PositionFamily::kLongRope,
    PositionFamily::kLlama3,     PositionFamily::kXpos,
    PositionFamily::kAlibi};

struct Spoiled {
  PositionFamily family;
  std::string field;
  std::function<void(PositionConfig&)> spoil;
};

void ExpectRefused(const std::vector<Spoiled>& cases) {
  for (const Spoiled& c : cases) {
    PositionConfig config = Valid(c.family);
    ASSERT_TRUE(Validate(config, 8).ok()) << Validate(config, 8);
    c.spoil(config);
    const absl::Status status = Validate(config, 8);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.field;
    EXPECT_EQ(base::DetailOf(status).field, c.field) << status;
    EXPECT_FALSE(PositionEncoder::Create(config, 8).ok());
    // Another family does not read the field, unless every rotation does.
    config.family = PositionFamily::kNone;
    EXPECT_TRUE(Validate(config, 8).ok()) << c.field;
  }
}

TEST(Validate, NamesTheFieldOfARotationThatStandsInTheWay) {
  const auto rope = PositionFamily::kRope;
  ExpectRefused({
      {rope, "position.theta", [](auto& c) { c.theta = 1; }},
      {rope, "position.theta", [](auto& c) { c.theta = -10000; }},
      {rope, "position.theta", [](auto& c) { c.theta = kNan; }},
      {rope, "position.theta", [](auto& c) { c.theta = kInfinity; }},
      {rope, "position.rotary_dim", [](auto& c) { c.rotary_dim = 3; }},
      {rope, "position.rotary_dim", [](auto& c) { c.rotary_dim = -2; }},
      {rope, "position.rotary_dim", [](auto& c) { c.rotary_dim = 10; }},
  });
}

TEST(Validate, NamesTheFieldOfYarnThatStandsInTheWay) {
  const auto yarn = PositionFamily::kYarn;
  ExpectRefused({
      {yarn, "position.yarn.factor", [](auto& c) { c.yarn.factor = 0.5; }},
      {yarn, "position.yarn.factor", [](auto& c) { c.yarn.factor = kNan; }},
      {yarn, "position.yarn.factor",
       [](auto& c) { c.yarn.factor = kInfinity; }},
      {yarn, "position.yarn.original_length",
       [](auto& c) { c.yarn.original_length = 0; }},
      {yarn, "position.yarn.beta_slow", [](auto& c) { c.yarn.beta_slow = 0; }},
      {yarn, "position.yarn.beta_fast", [](auto& c) { c.yarn.beta_fast = 1; }},
      {yarn, "position.yarn.beta_fast",
       [](auto& c) { c.yarn.beta_fast = kInfinity; }},
      {yarn, "position.yarn.attention_factor",
       [](auto& c) { c.yarn.attention_factor = 0; }},
      {yarn, "position.yarn.attn_factor",
       [](auto& c) { c.yarn.attn_factor = kNan; }},
      {yarn, "position.yarn.extrapolation_factor",
       [](auto& c) { c.yarn.extrapolation_factor = 1.5; }},
      {yarn, "position.yarn.mscale", [](auto& c) { c.yarn.mscale = -1; }},
      {yarn, "position.yarn.mscale_all_dim",
       [](auto& c) { c.yarn.mscale_all_dim = kInfinity; }},
  });
}

TEST(Validate, NamesTheFieldOfAnNtkFamilyThatStandsInTheWay) {
  const auto linear = PositionFamily::kLinear;
  const auto aware = PositionFamily::kNtkAware;
  const auto parts = PositionFamily::kNtkByParts;
  const auto dynamic = PositionFamily::kDynamicNtk;
  ExpectRefused({
      {linear, "position.linear.factor",
       [](auto& c) { c.linear.factor = 0.99; }},
      {linear, "position.linear.factor",
       [](auto& c) { c.linear.factor = kInfinity; }},
      {aware, "position.ntk_aware.alpha",
       [](auto& c) { c.ntk_aware.alpha = kNan; }},
      {aware, "position.rotary_dim", [](auto& c) { c.rotary_dim = 2; }},
      {parts, "position.rotary_dim", [](auto& c) { c.rotary_dim = 2; }},
      {dynamic, "position.rotary_dim", [](auto& c) { c.rotary_dim = 2; }},
      {parts, "position.ntk_by_parts.factor",
       [](auto& c) { c.ntk_by_parts.factor = 0; }},
      {parts, "position.ntk_by_parts.original_length",
       [](auto& c) { c.ntk_by_parts.original_length = -1; }},
      {parts, "position.ntk_by_parts.beta_fast",
       [](auto& c) { c.ntk_by_parts.beta_fast = 0.75; }},
      {parts, "position.ntk_by_parts.gamma_slow",
       [](auto& c) { c.ntk_by_parts.gamma_slow = -2; }},
      {parts, "position.ntk_by_parts.gamma_fast",
       [](auto& c) { c.ntk_by_parts.gamma_fast = 1; }},
      {parts, "position.ntk_by_parts.ntk_factor",
       [](auto& c) { c.ntk_by_parts.ntk_factor = 1.5; }},
      {parts, "position.ntk_by_parts.extrapolation_factor",
       [](auto& c) { c.ntk_by_parts.extrapolation_factor = kNan; }},
      {dynamic, "position.dynamic_ntk.factor",
       [](auto& c) { c.dynamic_ntk.factor = 0; }},
      {dynamic, "position.dynamic_ntk.max_position",
       [](auto& c) { c.dynamic_ntk.max_position = 0; }},
  });
}

TEST(Validate, NamesTheFieldOfAnotherFamilyThatStandsInTheWay) {
  const auto long_rope = PositionFamily::kLongRope;
  const auto llama3 = PositionFamily::kLlama3;
  const auto alibi = PositionFamily::kAlibi;
  ExpectRefused({
      {long_rope, "position.long_rope.short_factors",
       [](auto& c) { c.long_rope.short_factors.pop_back(); }},
      {long_rope, "position.long_rope.long_factors",
       [](auto& c) { c.long_rope.long_factors.push_back(1); }},
      {long_rope, "position.long_rope.long_factors",
       [](auto& c) { c.long_rope.long_factors[2] = 0; }},
      {long_rope, "position.long_rope.short_factors",
       [](auto& c) { c.long_rope.short_factors[0] = kNan; }},
      {long_rope, "position.long_rope.original_length",
       [](auto& c) { c.long_rope.original_length = 1; }},
      {long_rope, "position.long_rope.max_position",
       [](auto& c) { c.long_rope.max_position = 2047; }},
      {long_rope, "position.long_rope.attention_factor",
       [](auto& c) { c.long_rope.attention_factor = -1; }},
      {llama3, "position.llama3.factor", [](auto& c) { c.llama3.factor = 0; }},
      {llama3, "position.llama3.original_length",
       [](auto& c) { c.llama3.original_length = 0; }},
      {llama3, "position.llama3.low_freq_factor",
       [](auto& c) { c.llama3.low_freq_factor = 0; }},
      {llama3, "position.llama3.high_freq_factor",
       [](auto& c) { c.llama3.high_freq_factor = 1; }},
      {PositionFamily::kXpos, "position.xpos.scale_base",
       [](auto& c) { c.xpos.scale_base = 0; }},
      {alibi, "position.alibi.bias_max", [](auto& c) { c.alibi.bias_max = 0; }},
      {alibi, "position.alibi.clip_distance",
       [](auto& c) { c.alibi.clip_distance = -1; }},
  });
}

TEST(Validate, AnOddWholeHeadCannotTurn) {
  for (const PositionFamily family : kFamilies) {
    const bool rotates =
        family != PositionFamily::kNone && family != PositionFamily::kAlibi;
    const absl::Status status = Validate(Valid(family), 63);
    EXPECT_EQ(base::DetailOf(status).field,
              rotates ? "position.rotary_dim" : "");
  }
}

TEST(Validate, LooksOnlyAtWhatTheFamilyReads) {
  for (const PositionFamily family : kFamilies) {
    PositionConfig config = Valid(family);
    if (family != PositionFamily::kYarn) config.yarn.factor = kNan;
    if (family != PositionFamily::kLinear) config.linear.factor = kNan;
    if (family != PositionFamily::kNtkAware) config.ntk_aware.alpha = kNan;
    if (family != PositionFamily::kNtkByParts) config.ntk_by_parts = {};
    if (family != PositionFamily::kDynamicNtk) config.dynamic_ntk = {};
    if (family != PositionFamily::kLongRope) config.long_rope = {};
    if (family != PositionFamily::kLlama3) config.llama3 = {};
    if (family != PositionFamily::kXpos) config.xpos.scale_base = kNan;
    if (family != PositionFamily::kAlibi) config.alibi.bias_max = kNan;
    EXPECT_TRUE(Validate(config, 8).ok()) << Validate(config, 8);
  }
}

TEST(Validate, PairFactorsMustFitAPartialRotation) {
  PositionConfig config = Valid(PositionFamily::kLongRope);
  EXPECT_TRUE(Validate(config, 8).ok());
  EXPECT_FALSE(Validate(config, 16).ok());
  config.rotary_dim = 8;
  EXPECT_TRUE(Validate(config, 16).ok());
}

}  // namespace
}  // namespace mneme::attention
