#include "attention/position_config.h"

#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"

namespace mneme::attention {
namespace {

// Published lists stay above 0.9; far below, frequencies have no meaning, and
// angles must stay finite.
constexpr double kPairFactorMin = 0.1;

// Published tables reach 128 positions; this is 512 of 128 heads.
constexpr size_t kRelativeBiasesMax = 65536;

absl::Status Expect(bool holds, std::string_view field, double given,
                    std::string_view expected) {
  if (holds) return absl::OkStatus();
  return base::InvalidField(field, absl::StrCat(given), expected);
}

// Comparisons with NaN are false, so every bound below refuses it.
bool IsPositive(double x) { return x > 0 && std::isfinite(x); }

absl::Status ExpectPositive(std::string_view field, double given) {
  return Expect(IsPositive(given), field, given, "a positive finite number");
}

absl::Status ExpectFactor(std::string_view field, double given) {
  return Expect(given >= 1 && std::isfinite(given), field, given,
                "a finite number of at least 1");
}

absl::Status ExpectWeight(std::string_view field, double given) {
  return Expect(given >= 0 && given <= 1, field, given, "a number from 0 to 1");
}

absl::Status ExpectLength(std::string_view field, int64_t given) {
  return Expect(given > 0, field, static_cast<double>(given),
                "the positive length the model was trained on");
}

// `fast` and `slow` name the ends of a band by the turns of their pairs.
absl::Status ExpectBand(std::string_view slow_field, double slow,
                        std::string_view fast_field, double fast) {
  RETURN_IF_ERROR(ExpectPositive(slow_field, slow));
  return Expect(fast > slow && std::isfinite(fast), fast_field, fast,
                absl::StrCat("a finite number above ", slow, ", the slow end"));
}

absl::Status ValidateYarn(const YarnConfig& yarn) {
  RETURN_IF_ERROR(ExpectFactor("position.yarn.factor", yarn.factor));
  RETURN_IF_ERROR(
      ExpectLength("position.yarn.original_length", yarn.original_length));
  RETURN_IF_ERROR(ExpectBand("position.yarn.beta_slow", yarn.beta_slow,
                             "position.yarn.beta_fast", yarn.beta_fast));
  if (yarn.attention_factor.has_value()) {
    RETURN_IF_ERROR(ExpectPositive("position.yarn.attention_factor",
                                   *yarn.attention_factor));
  }
  RETURN_IF_ERROR(
      ExpectPositive("position.yarn.attn_factor", yarn.attn_factor));
  for (const auto& [field, given] :
       {std::pair{"position.yarn.mscale", yarn.mscale},
        std::pair{"position.yarn.mscale_all_dim", yarn.mscale_all_dim}}) {
    RETURN_IF_ERROR(Expect(given >= 0 && std::isfinite(given), field, given,
                           "a finite number of at least 0"));
  }
  return ExpectWeight("position.yarn.extrapolation_factor",
                      yarn.extrapolation_factor);
}

absl::Status ValidateNtkByParts(const NtkByPartsConfig& parts) {
  RETURN_IF_ERROR(ExpectFactor("position.ntk_by_parts.factor", parts.factor));
  RETURN_IF_ERROR(ExpectLength("position.ntk_by_parts.original_length",
                               parts.original_length));
  RETURN_IF_ERROR(ExpectBand("position.ntk_by_parts.beta_slow", parts.beta_slow,
                             "position.ntk_by_parts.beta_fast",
                             parts.beta_fast));
  RETURN_IF_ERROR(
      ExpectBand("position.ntk_by_parts.gamma_slow", parts.gamma_slow,
                 "position.ntk_by_parts.gamma_fast", parts.gamma_fast));
  RETURN_IF_ERROR(
      ExpectWeight("position.ntk_by_parts.ntk_factor", parts.ntk_factor));
  return ExpectWeight("position.ntk_by_parts.extrapolation_factor",
                      parts.extrapolation_factor);
}

absl::Status ValidateDynamicNtk(const DynamicNtkConfig& dynamic) {
  RETURN_IF_ERROR(ExpectFactor("position.dynamic_ntk.factor", dynamic.factor));
  return ExpectLength("position.dynamic_ntk.max_position",
                      dynamic.max_position);
}

absl::Status ValidatePairFactors(std::string_view field,
                                 const std::vector<double>& factors,
                                 int rotary_dim) {
  if (factors.size() != static_cast<size_t>(rotary_dim / 2)) {
    return base::InvalidField(
        field, absl::StrCat(factors.size(), " numbers"),
        absl::StrCat(rotary_dim / 2, ", one for each pair of components"));
  }
  for (const double factor : factors) {
    RETURN_IF_ERROR(
        Expect(factor >= kPairFactorMin && std::isfinite(factor), field, factor,
               absl::StrCat("finite numbers of at least ", kPairFactorMin)));
  }
  return absl::OkStatus();
}

absl::Status ValidateLongRope(const LongRopeConfig& long_rope, int rotary_dim) {
  RETURN_IF_ERROR(ValidatePairFactors("position.long_rope.short_factors",
                                      long_rope.short_factors, rotary_dim));
  RETURN_IF_ERROR(ValidatePairFactors("position.long_rope.long_factors",
                                      long_rope.long_factors, rotary_dim));
  // The attention factor divides by the logarithm.
  RETURN_IF_ERROR(Expect(long_rope.original_length > 1,
                         "position.long_rope.original_length",
                         static_cast<double>(long_rope.original_length),
                         "the length the model was trained on, above 1"));
  RETURN_IF_ERROR(Expect(long_rope.max_position >= long_rope.original_length,
                         "position.long_rope.max_position",
                         static_cast<double>(long_rope.max_position),
                         absl::StrCat("at least original_length (",
                                      long_rope.original_length, ")")));
  if (!long_rope.attention_factor.has_value()) return absl::OkStatus();
  return ExpectPositive("position.long_rope.attention_factor",
                        *long_rope.attention_factor);
}

absl::Status ValidateLlama3(const Llama3Config& llama3) {
  RETURN_IF_ERROR(ExpectFactor("position.llama3.factor", llama3.factor));
  RETURN_IF_ERROR(
      ExpectLength("position.llama3.original_length", llama3.original_length));
  return ExpectBand("position.llama3.low_freq_factor", llama3.low_freq_factor,
                    "position.llama3.high_freq_factor",
                    llama3.high_freq_factor);
}

absl::Status ValidateAlibi(const AlibiConfig& alibi) {
  RETURN_IF_ERROR(ExpectPositive("position.alibi.bias_max", alibi.bias_max));
  if (!alibi.clip_distance.has_value()) return absl::OkStatus();
  return Expect(*alibi.clip_distance >= 0, "position.alibi.clip_distance",
                static_cast<double>(*alibi.clip_distance),
                "a distance of at least 0, or nothing");
}

absl::Status ValidateRelativeBias(const RelativeBiasConfig& config) {
  if (config.biases.empty() || config.biases.size() > kRelativeBiasesMax) {
    return base::InvalidField("position.relative_bias.biases",
                              absl::StrCat(config.biases.size(), " numbers"),
                              absl::StrCat("1 to ", kRelativeBiasesMax));
  }
  for (const float bias : config.biases) {
    RETURN_IF_ERROR(Expect(std::isfinite(bias), "position.relative_bias.biases",
                           bias, "finite numbers"));
  }
  return absl::OkStatus();
}

// theta and rotary_dim, the fields of every rotation.
absl::Status ValidateRotation(const PositionConfig& config, int key_dim,
                              int rotary_dim) {
  // At 1 every pair turns alike, and YaRN divides by ln(theta).
  RETURN_IF_ERROR(Expect(config.theta > 1 && std::isfinite(config.theta),
                         "position.theta", config.theta,
                         "a finite number above 1"));
  RETURN_IF_ERROR(
      Expect(rotary_dim > 0 && rotary_dim <= key_dim && rotary_dim % 2 == 0,
             "position.rotary_dim", config.rotary_dim,
             absl::StrCat("an even number up to the key dimension ", key_dim,
                          ", or 0 for an even whole")));
  const bool is_ntk = config.family == PositionFamily::kNtkAware ||
                      config.family == PositionFamily::kNtkByParts ||
                      config.family == PositionFamily::kDynamicNtk;
  return Expect(!is_ntk || rotary_dim > 2, "position.rotary_dim", rotary_dim,
                "at least 4 with an NTK family, which divides by it less 2");
}

}  // namespace

bool Rotates(PositionFamily family) {
  switch (family) {
    case PositionFamily::kNone:
    case PositionFamily::kAlibi:
    case PositionFamily::kRelativeBias:
    case PositionFamily::kLearned:
      return false;
    default:
      return true;
  }
}

absl::Status Validate(const PositionConfig& config, int key_dim) {
  if (config.family == PositionFamily::kAlibi) {
    return ValidateAlibi(config.alibi);
  }
  if (config.family == PositionFamily::kRelativeBias) {
    return ValidateRelativeBias(config.relative_bias);
  }
  if (!Rotates(config.family)) return absl::OkStatus();
  const int rotary_dim = config.rotary_dim == 0 ? key_dim : config.rotary_dim;
  RETURN_IF_ERROR(ValidateRotation(config, key_dim, rotary_dim));
  switch (config.family) {
    case PositionFamily::kNone:
    case PositionFamily::kRope:
    case PositionFamily::kAlibi:
    case PositionFamily::kRelativeBias:
    case PositionFamily::kLearned:
      break;
    case PositionFamily::kYarn:
      return ValidateYarn(config.yarn);
    case PositionFamily::kLinear:
      return ExpectFactor("position.linear.factor", config.linear.factor);
    case PositionFamily::kNtkAware:
      return ExpectFactor("position.ntk_aware.alpha", config.ntk_aware.alpha);
    case PositionFamily::kNtkByParts:
      return ValidateNtkByParts(config.ntk_by_parts);
    case PositionFamily::kDynamicNtk:
      return ValidateDynamicNtk(config.dynamic_ntk);
    case PositionFamily::kLongRope:
      return ValidateLongRope(config.long_rope, rotary_dim);
    case PositionFamily::kLlama3:
      return ValidateLlama3(config.llama3);
    case PositionFamily::kXpos:
      return ExpectPositive("position.xpos.scale_base", config.xpos.scale_base);
  }
  return absl::OkStatus();
}

}  // namespace mneme::attention
