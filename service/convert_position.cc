#include "service/convert_position.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "memory/profile.h"
#include "service/enum_table.h"

namespace mneme::service {
namespace {

using attention::PositionFamily;
using attention::RotaryLayout;
using base::InvalidField;
using Parameters = v1::PositionEncoding::ParametersCase;

constexpr EnumTable<v1::PositionFamily, PositionFamily, 13> kFamilies = {{
    {v1::POSITION_FAMILY_NONE, PositionFamily::kNone},
    {v1::POSITION_FAMILY_ROPE, PositionFamily::kRope},
    {v1::POSITION_FAMILY_YARN, PositionFamily::kYarn},
    {v1::POSITION_FAMILY_LINEAR, PositionFamily::kLinear},
    {v1::POSITION_FAMILY_NTK_AWARE, PositionFamily::kNtkAware},
    {v1::POSITION_FAMILY_NTK_BY_PARTS, PositionFamily::kNtkByParts},
    {v1::POSITION_FAMILY_DYNAMIC_NTK, PositionFamily::kDynamicNtk},
    {v1::POSITION_FAMILY_LONG_ROPE, PositionFamily::kLongRope},
    {v1::POSITION_FAMILY_LLAMA3, PositionFamily::kLlama3},
    {v1::POSITION_FAMILY_ALIBI, PositionFamily::kAlibi},
    {v1::POSITION_FAMILY_XPOS, PositionFamily::kXpos},
    {v1::POSITION_FAMILY_RELATIVE_BIAS, PositionFamily::kRelativeBias},
    {v1::POSITION_FAMILY_LEARNED, PositionFamily::kLearned},
}};

constexpr EnumTable<v1::RotaryLayout, RotaryLayout, 2> kLayouts = {{
    {v1::ROTARY_LAYOUT_HALF_SPLIT, RotaryLayout::kHalfSplit},
    {v1::ROTARY_LAYOUT_INTERLEAVED, RotaryLayout::kInterleaved},
}};

Parameters ParametersOf(PositionFamily family) {
  switch (family) {
    case PositionFamily::kYarn:
      return Parameters::kYarn;
    case PositionFamily::kLinear:
      return Parameters::kLinear;
    case PositionFamily::kNtkAware:
      return Parameters::kNtkAware;
    case PositionFamily::kNtkByParts:
      return Parameters::kNtkByParts;
    case PositionFamily::kDynamicNtk:
      return Parameters::kDynamicNtk;
    case PositionFamily::kLongRope:
      return Parameters::kLongRope;
    case PositionFamily::kLlama3:
      return Parameters::kLlama3;
    case PositionFamily::kAlibi:
      return Parameters::kAlibi;
    case PositionFamily::kXpos:
      return Parameters::kXpos;
    case PositionFamily::kRelativeBias:
      return Parameters::kRelativeBias;
    case PositionFamily::kNone:
    case PositionFamily::kRope:
    case PositionFamily::kLearned:
      break;
  }
  return Parameters::PARAMETERS_NOT_SET;
}

std::string NameOf(Parameters parameters) {
  const auto* field =
      v1::PositionEncoding::descriptor()->FindFieldByNumber(parameters);
  return field == nullptr ? "nothing" : field->name();
}

absl::Status CheckParameters(PositionFamily family, Parameters given) {
  const Parameters expected = ParametersOf(family);
  const bool may_be_absent =
      family == PositionFamily::kAlibi || family == PositionFamily::kXpos;
  if (given == expected ||
      (may_be_absent && given == Parameters::PARAMETERS_NOT_SET)) {
    return absl::OkStatus();
  }
  return InvalidField("profile.position.parameters", NameOf(given),
                      absl::StrCat(NameOf(expected), ", as the family has it"));
}

attention::YarnConfig YarnFromProto(const v1::Yarn& proto) {
  attention::YarnConfig yarn;
  yarn.factor = proto.factor();
  yarn.original_length = proto.original_length();
  if (proto.has_beta_fast()) yarn.beta_fast = proto.beta_fast();
  if (proto.has_beta_slow()) yarn.beta_slow = proto.beta_slow();
  if (proto.has_attention_factor()) {
    yarn.attention_factor = proto.attention_factor();
  }
  if (proto.has_attn_factor()) yarn.attn_factor = proto.attn_factor();
  if (proto.has_mscale()) yarn.mscale = proto.mscale();
  if (proto.has_mscale_all_dim()) yarn.mscale_all_dim = proto.mscale_all_dim();
  if (proto.has_extrapolation_factor()) {
    yarn.extrapolation_factor = proto.extrapolation_factor();
  }
  if (proto.has_truncate()) yarn.truncate = proto.truncate();
  return yarn;
}

attention::NtkByPartsConfig NtkByPartsFromProto(const v1::NtkByParts& proto) {
  attention::NtkByPartsConfig parts;
  parts.factor = proto.factor();
  parts.original_length = proto.original_length();
  if (proto.has_beta_fast()) parts.beta_fast = proto.beta_fast();
  if (proto.has_beta_slow()) parts.beta_slow = proto.beta_slow();
  if (proto.has_gamma_fast()) parts.gamma_fast = proto.gamma_fast();
  if (proto.has_gamma_slow()) parts.gamma_slow = proto.gamma_slow();
  if (proto.has_ntk_factor()) parts.ntk_factor = proto.ntk_factor();
  if (proto.has_extrapolation_factor()) {
    parts.extrapolation_factor = proto.extrapolation_factor();
  }
  return parts;
}

void SetLongRope(const v1::LongRope& proto, attention::LongRopeConfig& config) {
  config.short_factors.assign(proto.short_factors().begin(),
                              proto.short_factors().end());
  config.long_factors.assign(proto.long_factors().begin(),
                             proto.long_factors().end());
  config.original_length = proto.original_length();
  config.max_position = proto.max_position();
  if (proto.has_attention_factor()) {
    config.attention_factor = proto.attention_factor();
  }
}

void SetLlama3(const v1::Llama3& proto, attention::Llama3Config& config) {
  config.factor = proto.factor();
  config.original_length = proto.original_length();
  if (proto.has_low_freq_factor()) {
    config.low_freq_factor = proto.low_freq_factor();
  }
  if (proto.has_high_freq_factor()) {
    config.high_freq_factor = proto.high_freq_factor();
  }
}

void SetAlibi(const v1::Alibi& proto, attention::AlibiConfig& config) {
  if (proto.has_bias_max()) config.bias_max = proto.bias_max();
  if (proto.has_clip_distance()) config.clip_distance = proto.clip_distance();
}

void SetFromParameters(const v1::PositionEncoding& proto,
                       attention::PositionConfig& position) {
  switch (proto.parameters_case()) {
    case Parameters::kYarn:
      position.yarn = YarnFromProto(proto.yarn());
      break;
    case Parameters::kLinear:
      position.linear.factor = proto.linear().factor();
      break;
    case Parameters::kNtkAware:
      position.ntk_aware.alpha = proto.ntk_aware().alpha();
      break;
    case Parameters::kNtkByParts:
      position.ntk_by_parts = NtkByPartsFromProto(proto.ntk_by_parts());
      break;
    case Parameters::kDynamicNtk:
      position.dynamic_ntk.factor = proto.dynamic_ntk().factor();
      position.dynamic_ntk.max_position = proto.dynamic_ntk().max_position();
      break;
    case Parameters::kLongRope:
      SetLongRope(proto.long_rope(), position.long_rope);
      break;
    case Parameters::kLlama3:
      SetLlama3(proto.llama3(), position.llama3);
      break;
    case Parameters::kAlibi:
      SetAlibi(proto.alibi(), position.alibi);
      break;
    case Parameters::kXpos:
      if (proto.xpos().has_scale_base()) {
        position.xpos.scale_base = proto.xpos().scale_base();
      }
      break;
    case Parameters::kRelativeBias:
      position.relative_bias.biases.assign(
          proto.relative_bias().biases().begin(),
          proto.relative_bias().biases().end());
      break;
    case Parameters::PARAMETERS_NOT_SET:
      break;
  }
}

void SetYarn(const attention::YarnConfig& yarn, v1::Yarn* proto) {
  proto->set_factor(yarn.factor);
  proto->set_original_length(yarn.original_length);
  proto->set_beta_fast(yarn.beta_fast);
  proto->set_beta_slow(yarn.beta_slow);
  // Computed, it would outlive a change of what it was computed from.
  if (yarn.attention_factor)
    proto->set_attention_factor(*yarn.attention_factor);
  proto->set_attn_factor(yarn.attn_factor);
  proto->set_mscale(yarn.mscale);
  proto->set_mscale_all_dim(yarn.mscale_all_dim);
  proto->set_extrapolation_factor(yarn.extrapolation_factor);
  proto->set_truncate(yarn.truncate);
}

void SetNtkByParts(const attention::NtkByPartsConfig& parts,
                   v1::NtkByParts* proto) {
  proto->set_factor(parts.factor);
  proto->set_original_length(parts.original_length);
  proto->set_beta_fast(parts.beta_fast);
  proto->set_beta_slow(parts.beta_slow);
  proto->set_gamma_fast(parts.gamma_fast);
  proto->set_gamma_slow(parts.gamma_slow);
  proto->set_ntk_factor(parts.ntk_factor);
  proto->set_extrapolation_factor(parts.extrapolation_factor);
}

void SetLongRope(const attention::LongRopeConfig& config, v1::LongRope* proto) {
  proto->mutable_short_factors()->Assign(config.short_factors.begin(),
                                         config.short_factors.end());
  proto->mutable_long_factors()->Assign(config.long_factors.begin(),
                                        config.long_factors.end());
  proto->set_original_length(config.original_length);
  proto->set_max_position(config.max_position);
  if (config.attention_factor) {
    proto->set_attention_factor(*config.attention_factor);
  }
}

void SetParameters(const attention::PositionConfig& position,
                   v1::PositionEncoding* proto) {
  switch (position.family) {
    case PositionFamily::kYarn:
      SetYarn(position.yarn, proto->mutable_yarn());
      break;
    case PositionFamily::kLinear:
      proto->mutable_linear()->set_factor(position.linear.factor);
      break;
    case PositionFamily::kNtkAware:
      proto->mutable_ntk_aware()->set_alpha(position.ntk_aware.alpha);
      break;
    case PositionFamily::kNtkByParts:
      SetNtkByParts(position.ntk_by_parts, proto->mutable_ntk_by_parts());
      break;
    case PositionFamily::kDynamicNtk: {
      v1::DynamicNtk* dynamic = proto->mutable_dynamic_ntk();
      dynamic->set_factor(position.dynamic_ntk.factor);
      dynamic->set_max_position(position.dynamic_ntk.max_position);
      break;
    }
    case PositionFamily::kLongRope:
      SetLongRope(position.long_rope, proto->mutable_long_rope());
      break;
    case PositionFamily::kLlama3: {
      v1::Llama3* llama3 = proto->mutable_llama3();
      llama3->set_factor(position.llama3.factor);
      llama3->set_original_length(position.llama3.original_length);
      llama3->set_low_freq_factor(position.llama3.low_freq_factor);
      llama3->set_high_freq_factor(position.llama3.high_freq_factor);
      break;
    }
    case PositionFamily::kAlibi: {
      v1::Alibi* alibi = proto->mutable_alibi();
      alibi->set_bias_max(position.alibi.bias_max);
      if (position.alibi.clip_distance) {
        alibi->set_clip_distance(*position.alibi.clip_distance);
      }
      break;
    }
    case PositionFamily::kXpos:
      proto->mutable_xpos()->set_scale_base(position.xpos.scale_base);
      break;
    case PositionFamily::kRelativeBias:
      proto->mutable_relative_bias()->mutable_biases()->Assign(
          position.relative_bias.biases.begin(),
          position.relative_bias.biases.end());
      break;
    case PositionFamily::kNone:
    case PositionFamily::kRope:
    case PositionFamily::kLearned:
      break;
  }
}

}  // namespace

absl::StatusOr<attention::PositionConfig> PositionFromProto(
    const v1::PositionEncoding& proto) {
  attention::PositionConfig position;
  ASSIGN_OR_RETURN(
      position.family,
      kFamilies.FromProto(proto.family(), "profile.position.family"));
  ASSIGN_OR_RETURN(
      position.layout,
      kLayouts.FromProto(proto.layout(), "profile.position.layout"));
  if (proto.has_theta()) position.theta = proto.theta();
  if (proto.rotary_dim() > memory::kHeadDimMax) {
    return InvalidField("profile.position.rotary_dim",
                        absl::StrCat(proto.rotary_dim()),
                        "an even number, 2 to key_dim, or absent");
  }
  position.rotary_dim = static_cast<int>(proto.rotary_dim());
  RETURN_IF_ERROR(CheckParameters(position.family, proto.parameters_case()));
  SetFromParameters(proto, position);
  return position;
}

void SetPosition(const attention::PositionConfig& position,
                 v1::PositionEncoding* proto) {
  proto->set_family(kFamilies.ToProto(position.family));
  SetParameters(position, proto);
  if (!attention::Rotates(position.family)) return;
  proto->set_layout(kLayouts.ToProto(position.layout));
  proto->set_theta(position.theta);
  proto->set_rotary_dim(static_cast<uint32_t>(position.rotary_dim));
}

}  // namespace mneme::service
