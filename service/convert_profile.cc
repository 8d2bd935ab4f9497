#include "service/convert_profile.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "service/convert_tensor.h"

namespace mneme::service {
namespace {

using attention::PositionFamily;
using attention::RotaryLayout;
using base::InvalidField;
using memory::PositionPolicy;
using memory::WindowPolicy;

absl::Status UnknownValue(std::string_view field, int given,
                          std::string_view expected) {
  return InvalidField(field, absl::StrCat("value ", given), expected);
}

absl::Status CheckAbove(std::string_view field, double given, double bound) {
  if (std::isfinite(given) && given > bound) return absl::OkStatus();
  return InvalidField(field, absl::StrCat(given),
                      absl::StrCat("a finite number above ", bound));
}

absl::StatusOr<PositionFamily> FamilyFromProto(v1::PositionFamily family) {
  switch (family) {
    case v1::POSITION_FAMILY_UNSPECIFIED:
    case v1::POSITION_FAMILY_NONE:
      return PositionFamily::kNone;
    case v1::POSITION_FAMILY_ROPE:
      return PositionFamily::kRope;
    case v1::POSITION_FAMILY_YARN:
      return PositionFamily::kYarn;
    case v1::POSITION_FAMILY_LINEAR:
      return PositionFamily::kLinear;
    case v1::POSITION_FAMILY_NTK_AWARE:
      return PositionFamily::kNtkAware;
    case v1::POSITION_FAMILY_NTK_BY_PARTS:
      return PositionFamily::kNtkByParts;
    case v1::POSITION_FAMILY_DYNAMIC_NTK:
      return PositionFamily::kDynamicNtk;
    case v1::POSITION_FAMILY_LONG_ROPE:
      return PositionFamily::kLongRope;
    case v1::POSITION_FAMILY_LLAMA3:
      return PositionFamily::kLlama3;
    case v1::POSITION_FAMILY_ALIBI:
      return PositionFamily::kAlibi;
    default:
      return UnknownValue("profile.position.family", family,
                          "a PositionFamily that this server knows");
  }
}

v1::PositionFamily FamilyToProto(PositionFamily family) {
  switch (family) {
    case PositionFamily::kNone:
      return v1::POSITION_FAMILY_NONE;
    case PositionFamily::kRope:
      return v1::POSITION_FAMILY_ROPE;
    case PositionFamily::kYarn:
      return v1::POSITION_FAMILY_YARN;
    case PositionFamily::kLinear:
      return v1::POSITION_FAMILY_LINEAR;
    case PositionFamily::kNtkAware:
      return v1::POSITION_FAMILY_NTK_AWARE;
    case PositionFamily::kNtkByParts:
      return v1::POSITION_FAMILY_NTK_BY_PARTS;
    case PositionFamily::kDynamicNtk:
      return v1::POSITION_FAMILY_DYNAMIC_NTK;
    case PositionFamily::kLongRope:
      return v1::POSITION_FAMILY_LONG_ROPE;
    case PositionFamily::kLlama3:
      return v1::POSITION_FAMILY_LLAMA3;
    case PositionFamily::kAlibi:
      return v1::POSITION_FAMILY_ALIBI;
    case PositionFamily::kXpos:  // Of the library; no session takes it.
      break;
  }
  return v1::POSITION_FAMILY_UNSPECIFIED;
}

absl::StatusOr<RotaryLayout> LayoutFromProto(v1::RotaryLayout layout) {
  switch (layout) {
    case v1::ROTARY_LAYOUT_UNSPECIFIED:
    case v1::ROTARY_LAYOUT_HALF_SPLIT:
      return RotaryLayout::kHalfSplit;
    case v1::ROTARY_LAYOUT_INTERLEAVED:
      return RotaryLayout::kInterleaved;
    default:
      return UnknownValue("profile.position.layout", layout,
                          "HALF_SPLIT or INTERLEAVED");
  }
}

absl::StatusOr<PositionPolicy> PolicyFromProto(v1::PositionPolicy policy) {
  switch (policy) {
    case v1::POSITION_POLICY_UNSPECIFIED:
    case v1::POSITION_POLICY_ABSOLUTE:
      return PositionPolicy::kAbsolute;
    case v1::POSITION_POLICY_CONST:
      return PositionPolicy::kConst;
    case v1::POSITION_POLICY_NONE:
      return PositionPolicy::kNone;
    default:
      return UnknownValue("profile.knn.policy", policy,
                          "ABSOLUTE, CONST or NONE");
  }
}

v1::PositionPolicy PolicyToProto(PositionPolicy policy) {
  switch (policy) {
    case PositionPolicy::kAbsolute:
      return v1::POSITION_POLICY_ABSOLUTE;
    case PositionPolicy::kConst:
      return v1::POSITION_POLICY_CONST;
    case PositionPolicy::kNone:
      return v1::POSITION_POLICY_NONE;
  }
  return v1::POSITION_POLICY_UNSPECIFIED;
}

absl::StatusOr<attention::YarnConfig> YarnFromProto(const v1::Yarn& proto) {
  RETURN_IF_ERROR(
      CheckAbove("profile.position.yarn.factor", proto.factor(), 0));
  attention::YarnConfig yarn;
  yarn.factor = proto.factor();
  yarn.original_length = proto.original_length();
  if (proto.has_beta_fast()) {
    RETURN_IF_ERROR(
        CheckAbove("profile.position.yarn.beta_fast", proto.beta_fast(), 0));
    yarn.beta_fast = proto.beta_fast();
  }
  if (proto.has_beta_slow()) {
    RETURN_IF_ERROR(
        CheckAbove("profile.position.yarn.beta_slow", proto.beta_slow(), 0));
    yarn.beta_slow = proto.beta_slow();
  }
  if (proto.has_attention_factor()) {
    RETURN_IF_ERROR(CheckAbove("profile.position.yarn.attention_factor",
                               proto.attention_factor(), 0));
    yarn.attention_factor = proto.attention_factor();
  }
  return yarn;
}

using Parameters = v1::PositionEncoding::ParametersCase;

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
    default:
      return Parameters::PARAMETERS_NOT_SET;
  }
}

std::string NameOf(Parameters parameters) {
  const auto* field =
      v1::PositionEncoding::descriptor()->FindFieldByNumber(parameters);
  return field == nullptr ? "nothing" : field->name();
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

absl::StatusOr<attention::PositionConfig> PositionFromProto(
    const v1::PositionEncoding& proto) {
  attention::PositionConfig position;
  ASSIGN_OR_RETURN(position.family, FamilyFromProto(proto.family()));
  ASSIGN_OR_RETURN(position.layout, LayoutFromProto(proto.layout()));
  if (proto.has_theta()) {
    RETURN_IF_ERROR(CheckAbove("profile.position.theta", proto.theta(), 1));
    position.theta = proto.theta();
  }
  if (proto.rotary_dim() > memory::kHeadDimMax) {
    return InvalidField("profile.position.rotary_dim",
                        absl::StrCat(proto.rotary_dim()),
                        "an even number, 2 to key_dim, or absent");
  }
  position.rotary_dim = static_cast<int>(proto.rotary_dim());
  if (proto.parameters_case() != ParametersOf(position.family) &&
      !(position.family == PositionFamily::kAlibi &&
        proto.parameters_case() == Parameters::PARAMETERS_NOT_SET)) {
    return InvalidField("profile.position.parameters",
                        NameOf(proto.parameters_case()),
                        absl::StrCat(NameOf(ParametersOf(position.family)),
                                     ", as the family has it"));
  }
  switch (proto.parameters_case()) {
    case Parameters::kYarn: {
      ASSIGN_OR_RETURN(position.yarn, YarnFromProto(proto.yarn()));
      break;
    }
    case Parameters::kLinear:
      position.linear.factor = proto.linear().factor();
      break;
    case Parameters::kNtkAware:
      position.ntk_aware.alpha = proto.ntk_aware().alpha();
      break;
    case Parameters::kNtkByParts:
      position.ntk_by_parts.factor = proto.ntk_by_parts().factor();
      position.ntk_by_parts.original_length =
          proto.ntk_by_parts().original_length();
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
    case Parameters::PARAMETERS_NOT_SET:
      break;
  }
  return position;
}

absl::StatusOr<memory::WindowTier> WindowFromProto(
    const v1::WindowTier& proto) {
  memory::WindowTier window;
  window.tokens = proto.tokens();
  switch (proto.policy()) {
    case v1::WINDOW_POLICY_UNSPECIFIED:
    case v1::WINDOW_POLICY_SLIDING:
      window.policy = WindowPolicy::kSliding;
      return window;
    case v1::WINDOW_POLICY_SEGMENT:
      window.policy = WindowPolicy::kSegment;
      return window;
    default:
      return UnknownValue("profile.window.policy", proto.policy(),
                          "SLIDING or SEGMENT");
  }
}

absl::StatusOr<memory::CompressiveTier> CompressiveFromProto(
    const v1::CompressiveTier& proto) {
  memory::CompressiveTier compressive;
  compressive.segment_tokens = proto.segment_tokens();
  if (proto.update() != v1::UPDATE_RULE_UNSPECIFIED &&
      proto.update() != v1::UPDATE_RULE_LINEAR) {
    return UnknownValue("profile.compressive.update", proto.update(), "LINEAR");
  }
  compressive.gate_logits.assign(proto.gate_logits().begin(),
                                 proto.gate_logits().end());
  switch (proto.empty_memory()) {
    case v1::EMPTY_MEMORY_UNSPECIFIED:
    case v1::EMPTY_MEMORY_BYPASS:
      compressive.empty_memory = attention::EmptyMemory::kBypass;
      return compressive;
    case v1::EMPTY_MEMORY_STRICT:
      compressive.empty_memory = attention::EmptyMemory::kStrict;
      return compressive;
    default:
      return UnknownValue("profile.compressive.empty_memory",
                          proto.empty_memory(), "BYPASS or STRICT");
  }
}

void SetYarn(const attention::YarnConfig& yarn, v1::Yarn* proto) {
  proto->set_factor(yarn.factor);
  proto->set_original_length(yarn.original_length);
  proto->set_beta_fast(yarn.beta_fast);
  proto->set_beta_slow(yarn.beta_slow);
  proto->set_attention_factor(attention::YarnAttentionFactor(yarn));
}

void SetLongRope(const attention::LongRopeConfig& config, v1::LongRope* proto) {
  proto->mutable_short_factors()->Assign(config.short_factors.begin(),
                                         config.short_factors.end());
  proto->mutable_long_factors()->Assign(config.long_factors.begin(),
                                        config.long_factors.end());
  proto->set_original_length(config.original_length);
  proto->set_max_position(config.max_position);
  proto->set_attention_factor(attention::LongRopeAttentionFactor(config));
}

// The family's parameters, with every default filled in.
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
    case PositionFamily::kNtkByParts: {
      v1::NtkByParts* parts = proto->mutable_ntk_by_parts();
      parts->set_factor(position.ntk_by_parts.factor);
      parts->set_original_length(position.ntk_by_parts.original_length);
      break;
    }
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
    default:
      break;
  }
}

void SetPosition(const attention::PositionConfig& position,
                 v1::PositionEncoding* proto) {
  proto->set_family(FamilyToProto(position.family));
  SetParameters(position, proto);
  if (position.family == PositionFamily::kNone ||
      position.family == PositionFamily::kAlibi) {
    return;  // Nothing turns.
  }
  proto->set_layout(position.layout == RotaryLayout::kHalfSplit
                        ? v1::ROTARY_LAYOUT_HALF_SPLIT
                        : v1::ROTARY_LAYOUT_INTERLEAVED);
  proto->set_theta(position.theta);
  proto->set_rotary_dim(static_cast<uint32_t>(position.rotary_dim));
}

}  // namespace

absl::StatusOr<memory::Profile> ProfileFromProto(const v1::Profile& proto) {
  memory::Profile profile;
  profile.name = proto.name();
  profile.layers = proto.layers();
  profile.query_heads = proto.query_heads();
  profile.kv_heads = proto.kv_heads();
  profile.key_dim = proto.key_dim();
  profile.value_dim = proto.value_dim();
  if (proto.data_type() != v1::DATA_TYPE_UNSPECIFIED) {
    ASSIGN_OR_RETURN(profile.dtype,
                     DTypeFromProto(proto.data_type(), "profile.data_type"));
  }
  if (proto.has_logit_scale()) {
    RETURN_IF_ERROR(CheckAbove("profile.logit_scale", proto.logit_scale(), 0));
    profile.logit_scale = proto.logit_scale();
  }
  if (proto.has_position()) {
    ASSIGN_OR_RETURN(profile.position, PositionFromProto(proto.position()));
  }
  profile.sink_tokens = proto.sink_tokens();
  if (proto.has_window()) {
    ASSIGN_OR_RETURN(profile.window, WindowFromProto(proto.window()));
  }
  if (proto.has_knn()) {
    memory::KnnTier knn;
    knn.top_k = proto.knn().top_k();
    ASSIGN_OR_RETURN(knn.policy, PolicyFromProto(proto.knn().policy()));
    knn.distance = proto.knn().distance();
    profile.knn = knn;
  }
  if (proto.has_compressive()) {
    ASSIGN_OR_RETURN(profile.compressive,
                     CompressiveFromProto(proto.compressive()));
  }
  profile.text_encoder = proto.text_encoder();
  return profile;
}

v1::Profile ProfileToProto(const memory::Profile& profile) {
  v1::Profile proto;
  proto.set_name(profile.name);
  proto.set_layers(profile.layers);
  proto.set_query_heads(profile.query_heads);
  proto.set_kv_heads(profile.kv_heads);
  proto.set_key_dim(profile.key_dim);
  proto.set_value_dim(profile.value_dim);
  proto.set_data_type(DTypeToProto(profile.dtype));
  proto.set_logit_scale(profile.logit_scale);
  SetPosition(profile.position, proto.mutable_position());
  proto.set_sink_tokens(profile.sink_tokens);
  if (profile.window) {
    proto.mutable_window()->set_tokens(profile.window->tokens);
    proto.mutable_window()->set_policy(profile.window->policy ==
                                               WindowPolicy::kSliding
                                           ? v1::WINDOW_POLICY_SLIDING
                                           : v1::WINDOW_POLICY_SEGMENT);
  }
  if (profile.knn) {
    proto.mutable_knn()->set_top_k(profile.knn->top_k);
    proto.mutable_knn()->set_policy(PolicyToProto(profile.knn->policy));
    proto.mutable_knn()->set_distance(profile.knn->distance);
  }
  if (profile.compressive) {
    v1::CompressiveTier* tier = proto.mutable_compressive();
    tier->set_segment_tokens(profile.compressive->segment_tokens);
    tier->set_update(v1::UPDATE_RULE_LINEAR);
    for (const float gate : profile.compressive->gate_logits) {
      tier->add_gate_logits(gate);
    }
    tier->set_empty_memory(profile.compressive->empty_memory ==
                                   attention::EmptyMemory::kBypass
                               ? v1::EMPTY_MEMORY_BYPASS
                               : v1::EMPTY_MEMORY_STRICT);
  }
  proto.set_text_encoder(profile.text_encoder);
  return proto;
}

}  // namespace mneme::service
