// elu+1 linear attention, by the library's kernel.

#include "attention/compressive.h"
#include "base/status_macros.h"
#include "tests/golden/methods.h"

namespace mneme::golden {

absl::StatusOr<Outputs> LinearAttention(const Case& c, client::Client&) {
  ASSIGN_OR_RETURN(const Heads in, ReadHeads(c));
  ASSIGN_OR_RETURN(const bool causal, c.Flag("causal"));
  ASSIGN_OR_RETURN(const auto eps, c.Number("eps"));
  if (causal && in.rows != in.tokens) {
    return absl::InvalidArgumentError("causal, with other queries than keys");
  }
  Outputs outputs;
  auto& out = outputs["out"];
  auto& matrix = outputs["S"];
  auto& normalizer = outputs["Z"];
  std::vector<float> head_out(in.rows * in.value_dim);
  for (int64_t h = 0; h < in.heads; ++h) {
    const int64_t kv = h / (in.heads / in.kv_heads);
    attention::CompressiveState state(static_cast<int>(in.key_dim),
                                      static_cast<int>(in.value_dim));
    attention::LinearAttention(
        in.q.data() + h * in.rows * in.key_dim, in.rows,
        in.k.data() + kv * in.tokens * in.key_dim,
        in.v.data() + kv * in.tokens * in.value_dim, in.tokens,
        causal ? attention::LinearMask::kCausal : attention::LinearMask::kNone,
        static_cast<float>(eps.value_or(0)), state, head_out.data());
    out.insert(out.end(), head_out.begin(), head_out.end());
    matrix.insert(matrix.end(), state.matrix.begin(), state.matrix.end());
    normalizer.insert(normalizer.end(), state.normalizer.begin(),
                      state.normalizer.end());
  }
  return outputs;
}

}  // namespace mneme::golden
