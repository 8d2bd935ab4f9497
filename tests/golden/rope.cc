// Rotary positions, by the library's encoder.

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

absl::StatusOr<Computed> Rotate(const Case& c, const PositionConfig& config) {
  ASSIGN_OR_RETURN(const Array q, c.Tensor("q", 3));
  ASSIGN_OR_RETURN(
      const auto encoder,
      PositionEncoder::Create(config, static_cast<int>(q.shape[2])));
  Computed computed;
  ASSIGN_OR_RETURN(computed.outputs["q_rot"], Rotated(c, "q", encoder));
  ASSIGN_OR_RETURN(computed.outputs["k_rot"], Rotated(c, "k", encoder));
  const auto frequencies = encoder.inv_freq();
  computed.outputs["inv_freq"].assign(frequencies.begin(), frequencies.end());
  computed.outputs["inv_freq_f64"] = computed.outputs["inv_freq"];
  return computed;
}

}  // namespace

absl::StatusOr<Computed> RopeDefault(const Case& c, client::Client&) {
  for (const char* name : {"interpolate_factor", "theta_rescale_factor"}) {
    ASSIGN_OR_RETURN(const auto factor, c.Number(name));
    if (factor.value_or(1) != 1) return Computed{{}, name};
  }
  ASSIGN_OR_RETURN(const PositionConfig config,
                   CommonConfig(c, PositionFamily::kRope));
  return Rotate(c, config);
}

absl::StatusOr<Computed> RopeYarn(const Case& c, client::Client&) {
  ASSIGN_OR_RETURN(PositionConfig config,
                   CommonConfig(c, PositionFamily::kYarn));
  attention::YarnConfig& yarn = config.yarn;
  ASSIGN_OR_RETURN(const auto length,
                   c.Number("original_max_position_embeddings"));
  if (length.value_or(0) > 0x1p53) {
    return absl::InvalidArgumentError("original_max_position_embeddings");
  }
  yarn.original_length = static_cast<int64_t>(length.value_or(0));
  ASSIGN_OR_RETURN(yarn.attention_factor, c.Number("attention_factor"));
  const std::pair<const char*, double*> optional[] = {
      {"factor", &yarn.factor},
      {"beta_fast", &yarn.beta_fast},
      {"beta_slow", &yarn.beta_slow},
      {"attn_factor", &yarn.attn_factor},
      {"extrapolation_factor", &yarn.extrapolation_factor},
  };
  for (const auto& [name, field] : optional) {
    ASSIGN_OR_RETURN(const auto value, c.Number(name));
    if (value) *field = *value;
  }
  return Rotate(c, config);
}

}  // namespace mneme::golden
