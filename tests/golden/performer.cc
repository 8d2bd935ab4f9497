// Performer, by the library's kernel.

#include "attention/performer.h"

#include "base/status_macros.h"
#include "tests/golden/methods.h"

namespace mneme::golden {

absl::StatusOr<Outputs> Performer(const Case& c, client::Client&) {
  ASSIGN_OR_RETURN(const Heads in, ReadHeads(c));
  ASSIGN_OR_RETURN(const Array projection, c.Tensor("projection", 2));
  ASSIGN_OR_RETURN(const std::string kernel, c.Text("kernel"));
  ASSIGN_OR_RETURN(const bool causal, c.Flag("causal"));
  ASSIGN_OR_RETURN(const auto epsilon, c.Number("feature_eps"));
  ASSIGN_OR_RETURN(const auto guard, c.Number("causal_denominator_eps"));
  if ((kernel != "softmax" && kernel != "relu") || !epsilon ||
      projection.shape[1] != in.key_dim || in.heads != in.kv_heads ||
      (causal && in.rows != in.tokens)) {
    return absl::InvalidArgumentError("not a case of performer");
  }
  const attention::PerformerFeatures features = {
      .kernel = kernel == "relu" ? attention::PerformerKernel::kRelu
                                 : attention::PerformerKernel::kSoftmax,
      .feature_count = static_cast<int>(projection.shape[0]),
      .key_dim = static_cast<int>(in.key_dim),
      .projection = projection.Floats(),
      .epsilon = static_cast<float>(*epsilon)};
  Outputs outputs;
  auto& out = outputs["out"];
  std::vector<float> head_out(in.rows * in.value_dim);
  for (int64_t h = 0; h < in.heads; ++h) {
    const float* const keys = in.k.data() + h * in.tokens * in.key_dim;
    const float* const values = in.v.data() + h * in.tokens * in.value_dim;
    const attention::PerformerState empty(features.feature_count,
                                          static_cast<int>(in.value_dim));
    // The stabiliser of these cases looks ahead.
    attention::PerformerState whole = empty;
    attention::AbsorbFeatures(features, keys, values, in.tokens, whole);
    attention::PerformerState state = empty;
    state.stabilizer = whole.stabilizer;
    attention::PerformerAttention(
        features, in.q.data() + h * in.rows * in.key_dim, in.rows, keys, values,
        in.tokens,
        causal ? attention::LinearMask::kCausal : attention::LinearMask::kNone,
        static_cast<float>(guard.value_or(0)), state, head_out.data());
    out.insert(out.end(), head_out.begin(), head_out.end());
  }
  return outputs;
}

}  // namespace mneme::golden
