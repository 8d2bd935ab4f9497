#include "memory/profile.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "memory/text/encoder.h"
#include "memory/text/fusion.h"

namespace mneme::memory {
namespace {

using attention::DType;
using base::InvalidField;

constexpr char kHashEncoder[] = "hash-words-ngrams-128";
constexpr size_t kNameBytesMax = 63;

absl::Status CheckRange(std::string_view field, uint64_t given, uint64_t least,
                        uint64_t most) {
  if (given >= least && given <= most) return absl::OkStatus();
  return InvalidField(absl::StrCat("profile.", std::string(field)),
                      absl::StrCat(given),
                      most == 0 ? std::string("nothing with this policy")
                                : absl::StrCat(least, " to ", most));
}

absl::Status CheckName(std::string_view name) {
  bool sound = !name.empty() && name.size() <= kNameBytesMax;
  for (const char c : name) {
    sound = sound && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-');
  }
  if (sound) return absl::OkStatus();
  return InvalidField("profile.name", base::Quoted(name),
                      "1 to 63 characters of [a-z0-9._-]");
}

absl::Status CheckGeometry(const Profile& profile) {
  RETURN_IF_ERROR(CheckRange("layers", profile.layers, 1, kLayersMax));
  RETURN_IF_ERROR(CheckRange("kv_heads", profile.kv_heads, 1, kHeadsMax));
  RETURN_IF_ERROR(CheckRange("query_heads", profile.query_heads, 1, kHeadsMax));
  RETURN_IF_ERROR(CheckRange("key_dim", profile.key_dim, 1, kHeadDimMax));
  RETURN_IF_ERROR(CheckRange("value_dim", profile.value_dim, 1, kHeadDimMax));
  if (profile.query_heads % profile.kv_heads != 0) {
    return InvalidField(
        "profile.query_heads", absl::StrCat(profile.query_heads),
        absl::StrCat("a multiple of kv_heads, which is ", profile.kv_heads));
  }
  if (profile.token_bytes() > kTokenBytesMax) {
    return InvalidField(
        "profile", absl::StrCat(profile.token_bytes(), " bytes a token"),
        absl::StrCat("layers * kv_heads * (key_dim + value_dim) * element size "
                     "of at most ",
                     kTokenBytesMax));
  }
  if (profile.bank_count() > kBanksMax) {
    return InvalidField(
        "profile",
        absl::StrCat(profile.bank_count(), " banks (layers * kv_heads)"),
        absl::StrCat("at most ", kBanksMax));
  }
  if (!(profile.logit_scale > 0 && profile.logit_scale <= kLogitScaleMax)) {
    return InvalidField("profile.logit_scale",
                        absl::StrCat(profile.logit_scale),
                        absl::StrCat("above 0, at most ", kLogitScaleMax));
  }
  return CheckRange("sink_tokens", profile.sink_tokens, 0, kSinkTokensMax);
}

absl::Status CheckWindow(const Profile& profile) {
  if (!profile.window) return absl::OkStatus();
  if (profile.window->policy == WindowPolicy::kSliding) {
    return CheckRange("window.tokens", profile.window->tokens, 1,
                      kTierTokensMax);
  }
  if (!profile.compressive) {
    return InvalidField("profile.window.policy",
                        "SEGMENT without a compressive tier",
                        "SLIDING, or a compressive tier that sets the segment");
  }
  return CheckRange("window.tokens", profile.window->tokens, 0, 0);
}

absl::Status CheckKnn(const Profile& profile) {
  if (!profile.knn) return absl::OkStatus();
  if (profile.position.family == attention::PositionFamily::kAlibi &&
      profile.knn->policy == PositionPolicy::kConst) {
    return InvalidField("profile.knn.policy", "CONST with ALIBI",
                        "ABSOLUTE, whose distances ALiBi punishes, or NONE");
  }
  RETURN_IF_ERROR(CheckRange("knn.top_k", profile.knn->top_k, 0, kTopKMax));
  const int64_t distance_max =
      profile.knn->policy == PositionPolicy::kConst ? kPositionMax : 0;
  if (profile.knn->distance < 0 || profile.knn->distance > distance_max) {
    return InvalidField(
        "profile.knn.distance", absl::StrCat(profile.knn->distance),
        distance_max == 0 ? std::string("nothing with this policy")
                          : absl::StrCat("0 to ", distance_max));
  }
  return absl::OkStatus();
}

absl::Status CheckCompressive(const Profile& profile) {
  if (!profile.compressive) return absl::OkStatus();
  RETURN_IF_ERROR(CheckRange("compressive.segment_tokens",
                             profile.compressive->segment_tokens, 1,
                             kTierTokensMax));
  const size_t state_bytes = profile.bank_count() * profile.key_dim *
                             (profile.value_dim + size_t{1}) * sizeof(float);
  if (state_bytes > kStateBytesMax) {
    return InvalidField(
        "profile.compressive", absl::StrCat(state_bytes, " bytes of state"),
        absl::StrCat("layers * kv_heads * key_dim * (value_dim + 1) * 4 of at "
                     "most ",
                     kStateBytesMax));
  }
  const size_t gates = profile.compressive->gate_logits.size();
  const size_t heads = profile.query_heads;
  if (gates != 1 && gates != heads && gates != heads * profile.layers) {
    return InvalidField(
        "profile.compressive.gate_logits", absl::StrCat(gates, " numbers"),
        absl::StrCat("1, ", heads, " (query heads) or ", heads * profile.layers,
                     " (layers * query heads)"));
  }
  for (const float gate : profile.compressive->gate_logits) {
    if (!std::isfinite(gate)) {
      return InvalidField("profile.compressive.gate_logits", absl::StrCat(gate),
                          "finite numbers");
    }
  }
  return absl::OkStatus();
}

// The parameters of the families beside YaRN, in their order.
void EncodeParameters(const attention::PositionConfig& position,
                      base::ByteWriter& out) {
  const auto optional = [&](const auto& number) {
    out.Number(static_cast<uint8_t>(number.has_value()));
    out.Number(number.value_or(0));
  };
  const auto list = [&](const std::vector<double>& numbers) {
    out.Number(static_cast<uint32_t>(numbers.size()));
    for (const double number : numbers) out.Number(number);
  };
  out.Number(position.linear.factor);
  out.Number(position.ntk_aware.alpha);
  out.Number(position.ntk_by_parts.factor);
  out.Number(position.ntk_by_parts.original_length);
  out.Number(position.dynamic_ntk.factor);
  out.Number(position.dynamic_ntk.max_position);
  list(position.long_rope.short_factors);
  list(position.long_rope.long_factors);
  out.Number(position.long_rope.original_length);
  out.Number(position.long_rope.max_position);
  optional(position.long_rope.attention_factor);
  out.Number(position.llama3.factor);
  out.Number(position.llama3.original_length);
  out.Number(position.llama3.low_freq_factor);
  out.Number(position.llama3.high_freq_factor);
  out.Number(position.alibi.bias_max);
  optional(position.alibi.clip_distance);
}

void DecodeParameters(attention::PositionConfig& position,
                      base::ByteReader& in) {
  const auto optional = [&]<typename T>(std::optional<T>& number) {
    const auto there = in.Number<uint8_t>();
    const T value = in.Number<T>();
    if (there != 0) number = value;
  };
  const auto list = [&](std::vector<double>& numbers) {
    const auto count = in.Number<uint32_t>();
    for (uint32_t i = 0; i < count && in.ok(); ++i) {
      numbers.push_back(in.Number<double>());
    }
  };
  position.linear.factor = in.Number<double>();
  position.ntk_aware.alpha = in.Number<double>();
  position.ntk_by_parts.factor = in.Number<double>();
  position.ntk_by_parts.original_length = in.Number<int64_t>();
  position.dynamic_ntk.factor = in.Number<double>();
  position.dynamic_ntk.max_position = in.Number<int64_t>();
  list(position.long_rope.short_factors);
  list(position.long_rope.long_factors);
  position.long_rope.original_length = in.Number<int64_t>();
  position.long_rope.max_position = in.Number<int64_t>();
  optional(position.long_rope.attention_factor);
  position.llama3.factor = in.Number<double>();
  position.llama3.original_length = in.Number<int64_t>();
  position.llama3.low_freq_factor = in.Number<double>();
  position.llama3.high_freq_factor = in.Number<double>();
  position.alibi.bias_max = in.Number<double>();
  optional(position.alibi.clip_distance);
}

Profile TextProfile() {
  Profile profile;
  profile.name = "text";
  profile.layers = 1;
  profile.query_heads = HashEncoder::kHeads;
  profile.kv_heads = HashEncoder::kHeads;
  profile.key_dim = HashEncoder::kDim;
  profile.value_dim = HashEncoder::kDim;
  profile.dtype = DType::kF16;
  // Keys have length 1, so a logit is this temperature times a cosine: an
  // identical sentence outweighs an unrelated one by a factor of e^16.
  profile.logit_scale = kSemanticScale;
  // About one screen of conversation.
  profile.window = WindowTier{.tokens = 64, .policy = WindowPolicy::kSliding};
  profile.knn =
      KnnTier{.top_k = 1024, .policy = PositionPolicy::kNone, .distance = 0};
  // The gist of everything gets a tenth of the attention: g = sigmoid(-2.2).
  profile.compressive =
      CompressiveTier{.segment_tokens = 64,
                      .gate_logits = {-2.2F},
                      .empty_memory = attention::EmptyMemory::kBypass};
  profile.text_encoder = kHashEncoder;
  return profile;
}

}  // namespace

float Profile::Gate(uint32_t layer, uint32_t query_head) const {
  const std::vector<float>& logits = compressive->gate_logits;
  size_t index = 0;
  if (logits.size() > query_heads) {
    index = size_t{layer} * query_heads + query_head;
  } else if (logits.size() > 1) {
    index = query_head;
  }
  return 1.0F / (1.0F + std::exp(-logits[index]));
}

absl::StatusOr<Profile> Complete(Profile profile) {
  if (profile.name.empty()) profile.name = "custom";
  if (profile.layers == 0) profile.layers = 1;
  if (profile.kv_heads == 0) profile.kv_heads = 1;
  if (profile.query_heads == 0) profile.query_heads = profile.kv_heads;
  if (profile.value_dim == 0) profile.value_dim = profile.key_dim;
  if (profile.logit_scale == 0 && profile.key_dim > 0) {
    profile.logit_scale = 1 / std::sqrt(static_cast<double>(profile.key_dim));
  }
  RETURN_IF_ERROR(CheckName(profile.name));
  RETURN_IF_ERROR(CheckGeometry(profile));
  if (profile.position.rotary_dim == 0) {
    profile.position.rotary_dim = static_cast<int>(profile.key_dim);
  }
  const absl::Status position =
      attention::Validate(profile.position, static_cast<int>(profile.key_dim));
  if (!position.ok()) return base::Annotate(position, "profile");
  RETURN_IF_ERROR(CheckWindow(profile));
  RETURN_IF_ERROR(CheckKnn(profile));
  RETURN_IF_ERROR(CheckCompressive(profile));
  if (!profile.window && !profile.knn && !profile.compressive) {
    return InvalidField("profile", "no tier",
                        "at least one of window, knn and compressive");
  }
  if (!profile.text_encoder.empty()) {
    const Profile text = TextProfile();
    if (profile.text_encoder != text.text_encoder) {
      return InvalidField("profile.text_encoder",
                          base::Quoted(profile.text_encoder),
                          absl::StrCat("absent or \"", kHashEncoder, "\""));
    }
    if (profile.layers != 1 || profile.kv_heads != text.kv_heads ||
        profile.query_heads != text.query_heads ||
        profile.key_dim != text.key_dim ||
        profile.value_dim != text.value_dim) {
      return InvalidField(
          "profile",
          absl::StrFormat("layers %d, query_heads %d, kv_heads %d, dims %d/%d",
                          profile.layers, profile.query_heads, profile.kv_heads,
                          profile.key_dim, profile.value_dim),
          "the encoder's geometry: layers 1, query_heads 2, kv_heads 2, dims "
          "128/128");
    }
  }
  return profile;
}

absl::StatusOr<Profile> ProfileByName(std::string_view name) {
  if (name == "text") return Complete(TextProfile());
  return base::Error(absl::StatusCode::kNotFound,
                     absl::StrCat("profile_name: no profile ",
                                  base::Quoted(name), "; known: text"),
                     {.reason = "PROFILE_NOT_FOUND", .field = "profile_name"});
}

std::string EncodeProfile(const Profile& profile) {
  base::ByteWriter out;
  out.Text(profile.name);
  out.Number(profile.layers);
  out.Number(profile.query_heads);
  out.Number(profile.kv_heads);
  out.Number(profile.key_dim);
  out.Number(profile.value_dim);
  out.Number(static_cast<uint8_t>(profile.dtype));
  out.Number(profile.logit_scale);
  out.Number(static_cast<uint8_t>(profile.position.family));
  out.Number(static_cast<uint8_t>(profile.position.layout));
  out.Number(profile.position.theta);
  out.Number(static_cast<int32_t>(profile.position.rotary_dim));
  const attention::YarnConfig& yarn = profile.position.yarn;
  out.Number(yarn.factor);
  out.Number(yarn.original_length);
  out.Number(yarn.beta_fast);
  out.Number(yarn.beta_slow);
  out.Number(static_cast<uint8_t>(yarn.attention_factor.has_value()));
  out.Number(yarn.attention_factor.value_or(0));
  out.Number(yarn.attn_factor);
  out.Number(yarn.extrapolation_factor);
  EncodeParameters(profile.position, out);
  out.Number(profile.sink_tokens);
  out.Number(static_cast<uint8_t>(profile.window.has_value()));
  if (profile.window) {
    out.Number(profile.window->tokens);
    out.Number(static_cast<uint8_t>(profile.window->policy));
  }
  out.Number(static_cast<uint8_t>(profile.knn.has_value()));
  if (profile.knn) {
    out.Number(profile.knn->top_k);
    out.Number(static_cast<uint8_t>(profile.knn->policy));
    out.Number(profile.knn->distance);
  }
  out.Number(static_cast<uint8_t>(profile.compressive.has_value()));
  if (profile.compressive) {
    out.Number(profile.compressive->segment_tokens);
    out.Number(static_cast<uint8_t>(profile.compressive->empty_memory));
    out.Number(static_cast<uint32_t>(profile.compressive->gate_logits.size()));
    for (const float gate : profile.compressive->gate_logits) out.Number(gate);
  }
  out.Text(profile.text_encoder);
  return out.Take();
}

absl::StatusOr<Profile> DecodeProfile(std::string_view bytes) {
  base::ByteReader in(bytes);
  Profile profile;
  profile.name = in.Text();
  profile.layers = in.Number<uint32_t>();
  profile.query_heads = in.Number<uint32_t>();
  profile.kv_heads = in.Number<uint32_t>();
  profile.key_dim = in.Number<uint32_t>();
  profile.value_dim = in.Number<uint32_t>();
  const auto dtype = in.Number<uint8_t>();
  profile.logit_scale = in.Number<double>();
  const auto family = in.Number<uint8_t>();
  const auto layout = in.Number<uint8_t>();
  profile.position.theta = in.Number<double>();
  profile.position.rotary_dim = in.Number<int32_t>();
  attention::YarnConfig& yarn = profile.position.yarn;
  yarn.factor = in.Number<double>();
  yarn.original_length = in.Number<int64_t>();
  yarn.beta_fast = in.Number<double>();
  yarn.beta_slow = in.Number<double>();
  const auto has_attention_factor = in.Number<uint8_t>();
  const auto attention_factor = in.Number<double>();
  if (has_attention_factor != 0) yarn.attention_factor = attention_factor;
  yarn.attn_factor = in.Number<double>();
  yarn.extrapolation_factor = in.Number<double>();
  DecodeParameters(profile.position, in);
  profile.sink_tokens = in.Number<uint32_t>();
  uint8_t window_policy = 0;
  uint8_t knn_policy = 0;
  uint8_t empty_memory = 0;
  if (in.Number<uint8_t>() != 0) {
    profile.window.emplace();
    profile.window->tokens = in.Number<uint32_t>();
    window_policy = in.Number<uint8_t>();
    profile.window->policy = static_cast<WindowPolicy>(window_policy);
  }
  if (in.Number<uint8_t>() != 0) {
    profile.knn.emplace();
    profile.knn->top_k = in.Number<uint32_t>();
    knn_policy = in.Number<uint8_t>();
    profile.knn->policy = static_cast<PositionPolicy>(knn_policy);
    profile.knn->distance = in.Number<int64_t>();
  }
  if (in.Number<uint8_t>() != 0) {
    profile.compressive.emplace();
    profile.compressive->segment_tokens = in.Number<uint32_t>();
    empty_memory = in.Number<uint8_t>();
    profile.compressive->empty_memory =
        static_cast<attention::EmptyMemory>(empty_memory);
    const auto gates = in.Number<uint32_t>();
    for (uint32_t i = 0; i < gates && in.ok(); ++i) {
      profile.compressive->gate_logits.push_back(in.Number<float>());
    }
  }
  profile.text_encoder = in.Text();
  const bool enums_sound =
      dtype <= 2 &&
      family <= static_cast<uint8_t>(attention::PositionFamily::kAlibi) &&
      layout <= 1 && window_policy <= 1 && knn_policy <= 2 && empty_memory <= 1;
  if (!in.done() || !enums_sound) {
    return absl::DataLossError("a profile record is malformed");
  }
  profile.dtype = static_cast<DType>(dtype);
  profile.position.family = static_cast<attention::PositionFamily>(family);
  profile.position.layout = static_cast<attention::RotaryLayout>(layout);
  // A record that passed its checksum holds what Complete once returned; what
  // does not pass again was not written by us.
  absl::StatusOr<Profile> checked = Complete(profile);
  if (!checked.ok()) {
    return absl::DataLossError(absl::StrCat("a profile record is not sound: ",
                                            checked.status().message()));
  }
  return checked;
}

}  // namespace mneme::memory
