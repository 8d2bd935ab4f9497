// Rotary positions, by the library's encoder.

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "absl/strings/str_cat.h"
#include "attention/position.h"
#include "base/status_macros.h"
#include "tests/golden/methods.h"

namespace mneme::golden {
namespace {

using attention::PositionConfig;
using attention::PositionEncoder;
using attention::PositionFamily;
using attention::RotaryLayout;

// The parameters that every family has.
absl::StatusOr<PositionConfig> CommonConfig(const Case& c,
                                            PositionFamily family) {
  PositionConfig config;
  config.family = family;
  ASSIGN_OR_RETURN(const std::string convention, c.Text("convention"));
  if (convention == "interleaved") {
    config.layout = RotaryLayout::kInterleaved;
  } else if (convention != "half_split") {
    return absl::InvalidArgumentError("unknown convention " + convention);
  }
  ASSIGN_OR_RETURN(const auto theta, c.Number("theta"));
  ASSIGN_OR_RETURN(const auto rotary_dim, c.Number("rotary_dim"));
  if (!theta || !rotary_dim || *rotary_dim < 0 || *rotary_dim > 65536) {
    return absl::InvalidArgumentError("theta and rotary_dim are required");
  }
  config.theta = *theta;
  config.rotary_dim = static_cast<int>(*rotary_dim);
  return config;
}

absl::StatusOr<int64_t> Length(const Case& c, const std::string& name) {
  return WholeNumber(c, name, 1, int64_t{1} << 53);
}

// Parameters that keep their default when the case does not give them.
absl::Status ReadNumbers(
    const Case& c,
    std::initializer_list<std::pair<const char*, double*>> fields) {
  for (const auto& [name, field] : fields) {
    ASSIGN_OR_RETURN(const auto value, c.Number(name));
    if (value) *field = *value;
  }
  return absl::OkStatus();
}

// `name` rotated, and multiplied by the attention factor as the cases are.
absl::StatusOr<std::vector<double>> Rotated(const Case& c,
                                            const std::string& name,
                                            const PositionEncoder& encoder) {
  ASSIGN_OR_RETURN(const Array rows, c.Tensor(name, 3));
  ASSIGN_OR_RETURN(const Array positions, c.Tensor("positions", 1));
  const int64_t tokens = rows.shape[1];
  const int64_t dim = rows.shape[2];
  if (positions.shape[0] != tokens || dim < encoder.rotary_dim()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " does not fit positions or rotary_dim"));
  }
  std::vector<float> cos(tokens * encoder.rotary_dim() / 2);
  std::vector<float> sin(cos.size());
  encoder.Angles(positions.Integers(), cos.data(), sin.data());
  std::vector<float> rotated = rows.Floats();
  for (int64_t head = 0; head < rows.shape[0]; ++head) {
    encoder.Rotate(rotated.data() + head * tokens * dim, tokens, dim,
                   cos.data(), sin.data());
  }
  std::vector<double> scaled(rotated.begin(), rotated.end());
  for (int64_t row = 0; row < rows.shape[0] * tokens; ++row) {
    for (int j = 0; j < encoder.rotary_dim(); ++j) {
      scaled[row * dim + j] *= encoder.attention_factor();
    }
  }
  return scaled;
}

absl::StatusOr<Outputs> Rotate(const Case& c, const PositionConfig& config) {
  ASSIGN_OR_RETURN(const Array q, c.Tensor("q", 3));
  ASSIGN_OR_RETURN(const Array positions, c.Tensor("positions", 1));
  ASSIGN_OR_RETURN(
      const auto any_length,
      PositionEncoder::Create(config, static_cast<int>(q.shape[2])));
  int64_t length = 0;
  for (const int64_t position : positions.Integers()) {
    length = std::max(length, position + 1);
  }
  const PositionEncoder encoder = any_length.ForLength(length);
  Outputs outputs;
  ASSIGN_OR_RETURN(outputs["q_rot"], Rotated(c, "q", encoder));
  ASSIGN_OR_RETURN(outputs["k_rot"], Rotated(c, "k", encoder));
  const auto frequencies = encoder.inv_freq();
  outputs["inv_freq"].assign(frequencies.begin(), frequencies.end());
  outputs["inv_freq_f64"] = outputs["inv_freq"];
  return outputs;
}

}  // namespace

absl::StatusOr<Outputs> RopeDefault(const Case& c, client::Client&) {
  for (const char* name : {"interpolate_factor", "theta_rescale_factor"}) {
    ASSIGN_OR_RETURN(const auto factor, c.Number(name));
    if (factor.value_or(1) != 1) return absl::UnimplementedError(name);
  }
  ASSIGN_OR_RETURN(const PositionConfig config,
                   CommonConfig(c, PositionFamily::kRope));
  return Rotate(c, config);
}

absl::StatusOr<Outputs> RopeLinear(const Case& c, client::Client&) {
  ASSIGN_OR_RETURN(PositionConfig config,
                   CommonConfig(c, PositionFamily::kLinear));
  // One of the references divides positions and leaves its table.
  ASSIGN_OR_RETURN(const auto of_positions, c.Number("interpolate_factor"));
  if (!of_positions) {
    RETURN_IF_ERROR(ReadNumbers(c, {{"factor", &config.linear.factor}}));
    return Rotate(c, config);
  }
  config.linear.factor = *of_positions;
  ASSIGN_OR_RETURN(Outputs outputs, Rotate(c, config));
  for (const char* table : {"inv_freq", "inv_freq_f64"}) {
    for (double& f : outputs[table]) f *= *of_positions;
  }
  return outputs;
}

absl::StatusOr<Outputs> RopeNtkAware(const Case& c, client::Client&) {
  ASSIGN_OR_RETURN(PositionConfig config,
                   CommonConfig(c, PositionFamily::kNtkAware));
  double& alpha = config.ntk_aware.alpha;
  RETURN_IF_ERROR(
      ReadNumbers(c, {{"alpha", &alpha}, {"theta_rescale_factor", &alpha}}));
  return Rotate(c, config);
}

absl::StatusOr<Outputs> RopeNtkByParts(const Case& c, client::Client&) {
  ASSIGN_OR_RETURN(PositionConfig config,
                   CommonConfig(c, PositionFamily::kNtkByParts));
  attention::NtkByPartsConfig& parts = config.ntk_by_parts;
  ASSIGN_OR_RETURN(parts.original_length,
                   Length(c, "original_max_position_embeddings"));
  RETURN_IF_ERROR(
      ReadNumbers(c, {{"scale", &parts.factor},
                      {"beta_0", &parts.beta_fast},
                      {"beta_1", &parts.beta_slow},
                      {"gamma_0", &parts.gamma_fast},
                      {"gamma_1", &parts.gamma_slow},
                      {"ntk_factor", &parts.ntk_factor},
                      {"extrapolation_factor", &parts.extrapolation_factor}}));
  return Rotate(c, config);
}

absl::StatusOr<Outputs> RopeDynamicNtk(const Case& c, client::Client&) {
  ASSIGN_OR_RETURN(const bool calls, c.Flag("calls"));
  if (calls)
    return absl::UnimplementedError("a base that remembers earlier sequences");
  ASSIGN_OR_RETURN(PositionConfig config,
                   CommonConfig(c, PositionFamily::kDynamicNtk));
  ASSIGN_OR_RETURN(config.dynamic_ntk.max_position,
                   Length(c, "max_position_embeddings"));
  RETURN_IF_ERROR(ReadNumbers(c, {{"factor", &config.dynamic_ntk.factor}}));
  return Rotate(c, config);
}

absl::StatusOr<Outputs> RopeYarn(const Case& c, client::Client&) {
  ASSIGN_OR_RETURN(PositionConfig config,
                   CommonConfig(c, PositionFamily::kYarn));
  attention::YarnConfig& yarn = config.yarn;
  ASSIGN_OR_RETURN(yarn.original_length,
                   Length(c, "original_max_position_embeddings"));
  ASSIGN_OR_RETURN(yarn.attention_factor, c.Number("attention_factor"));
  RETURN_IF_ERROR(
      ReadNumbers(c, {{"factor", &yarn.factor},
                      {"beta_fast", &yarn.beta_fast},
                      {"beta_slow", &yarn.beta_slow},
                      {"attn_factor", &yarn.attn_factor},
                      {"extrapolation_factor", &yarn.extrapolation_factor}}));
  return Rotate(c, config);
}

absl::StatusOr<Outputs> RopeLongRope(const Case& c, client::Client&) {
  ASSIGN_OR_RETURN(PositionConfig config,
                   CommonConfig(c, PositionFamily::kLongRope));
  attention::LongRopeConfig& long_rope = config.long_rope;
  ASSIGN_OR_RETURN(const Array short_factors, c.Tensor("short_factor", 1));
  ASSIGN_OR_RETURN(const Array long_factors, c.Tensor("long_factor", 1));
  long_rope.short_factors = short_factors.values;
  long_rope.long_factors = long_factors.values;
  ASSIGN_OR_RETURN(long_rope.original_length,
                   Length(c, "original_max_position_embeddings"));
  ASSIGN_OR_RETURN(long_rope.max_position,
                   Length(c, "max_position_embeddings"));
  return Rotate(c, config);
}

absl::StatusOr<Outputs> RopeLlama3(const Case& c, client::Client&) {
  ASSIGN_OR_RETURN(PositionConfig config,
                   CommonConfig(c, PositionFamily::kLlama3));
  attention::Llama3Config& llama3 = config.llama3;
  ASSIGN_OR_RETURN(llama3.original_length,
                   Length(c, "original_max_position_embeddings"));
  RETURN_IF_ERROR(
      ReadNumbers(c, {{"factor", &llama3.factor},
                      {"low_freq_factor", &llama3.low_freq_factor},
                      {"high_freq_factor", &llama3.high_freq_factor}}));
  return Rotate(c, config);
}

}  // namespace mneme::golden
