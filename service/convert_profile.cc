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
    default:
      return UnknownValue("profile.position.family", family,
                          "NONE, ROPE or YARN");
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
  const bool is_yarn = position.family == PositionFamily::kYarn;
  if (proto.has_yarn() != is_yarn) {
    return InvalidField("profile.position.yarn",
                        is_yarn ? "nothing" : "parameters",
                        is_yarn ? "parameters, as the family is YARN"
                                : "nothing, as the family is not YARN");
  }
  if (is_yarn) {
    ASSIGN_OR_RETURN(position.yarn, YarnFromProto(proto.yarn()));
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

void SetPosition(const attention::PositionConfig& position,
                 v1::PositionEncoding* proto) {
  proto->set_family(FamilyToProto(position.family));
  if (position.family == PositionFamily::kNone) return;
  proto->set_layout(position.layout == RotaryLayout::kHalfSplit
                        ? v1::ROTARY_LAYOUT_HALF_SPLIT
                        : v1::ROTARY_LAYOUT_INTERLEAVED);
  proto->set_theta(position.theta);
  proto->set_rotary_dim(static_cast<uint32_t>(position.rotary_dim));
  if (position.family != PositionFamily::kYarn) return;
  v1::Yarn* yarn = proto->mutable_yarn();
  yarn->set_factor(position.yarn.factor);
  yarn->set_original_length(position.yarn.original_length);
  yarn->set_beta_fast(position.yarn.beta_fast);
  yarn->set_beta_slow(position.yarn.beta_slow);
  yarn->set_attention_factor(attention::YarnAttentionFactor(position.yarn));
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
