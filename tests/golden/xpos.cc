// xPos, by the library's encoder.

#include <cmath>

#include "attention/position.h"
#include "base/status_macros.h"
#include "tests/golden/methods.h"

namespace mneme::golden {
namespace {

using attention::PositionEncoder;

absl::StatusOr<std::vector<double>> Rotated(const Array& rows,
                                            const Array& positions,
                                            int64_t center, bool key_side,
                                            const PositionEncoder& encoder) {
  const int64_t tokens = rows.shape[1];
  const int64_t dim = rows.shape[2];
  if (positions.shape[0] != tokens) {
    return absl::InvalidArgumentError("positions do not fit q or k");
  }
  const std::vector<int64_t> at = positions.Integers();
  std::vector<float> cos(tokens * dim / 2);
  std::vector<float> sin(cos.size());
  std::vector<float> magnitudes(cos.size());
  encoder.Angles(at, cos.data(), sin.data());
  encoder.Magnitudes(at, center, key_side, magnitudes.data());
  std::vector<float> rotated = rows.Floats();
  for (int64_t head = 0; head < rows.shape[0]; ++head) {
    encoder.Rotate(rotated.data() + head * tokens * dim, tokens, dim,
                   cos.data(), sin.data(), magnitudes.data());
  }
  return std::vector<double>(rotated.begin(), rotated.end());
}

}  // namespace

absl::StatusOr<Outputs> Xpos(const Case& c, client::Client&) {
  ASSIGN_OR_RETURN(const Array q, c.Tensor("q", 3));
  ASSIGN_OR_RETURN(const Array k, c.Tensor("k", 3));
  ASSIGN_OR_RETURN(const Array queries_at, c.Tensor("positions", 1));
  const auto other_keys_at = c.Tensor("positions_k", 1);
  const Array& keys_at = other_keys_at.ok() ? *other_keys_at : queries_at;
  ASSIGN_OR_RETURN(const std::string convention, c.Text("convention"));
  ASSIGN_OR_RETURN(const auto theta, c.Number("theta"));
  ASSIGN_OR_RETURN(const auto scale_base, c.Number("scale_base"));
  ASSIGN_OR_RETURN(const int64_t center,
                   WholeNumber(c, "scale_center", 0, int64_t{1} << 53));
  if (convention != "interleaved" || !theta || !scale_base ||
      q.shape[2] != k.shape[2]) {
    return absl::InvalidArgumentError("not a case of xpos");
  }
  ASSIGN_OR_RETURN(
      const auto encoder,
      PositionEncoder::Create({.family = attention::PositionFamily::kXpos,
                               .layout = attention::RotaryLayout::kInterleaved,
                               .theta = *theta,
                               .xpos = {.scale_base = *scale_base}},
                              static_cast<int>(q.shape[2])));
  Outputs outputs;
  ASSIGN_OR_RETURN(outputs["q_rot"],
                   Rotated(q, queries_at, center, /*key_side=*/false, encoder));
  ASSIGN_OR_RETURN(outputs["k_rot"],
                   Rotated(k, keys_at, center, /*key_side=*/true, encoder));
  outputs["inv_freq"].assign(encoder.inv_freq().begin(),
                             encoder.inv_freq().end());
  for (const double log_scale :
       attention::XposLogScales(encoder.rotary_dim())) {
    outputs["xpos_scale"].push_back(std::exp(log_scale));
  }
  return outputs;
}

}  // namespace mneme::golden
