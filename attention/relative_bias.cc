#include "attention/relative_bias.h"

#include <algorithm>

#include "base/check.h"

namespace mneme::attention {

RelativeBias::RelativeBias(const RelativeBiasConfig& config, int query_heads)
    : biases_(config.biases),
      distances_(static_cast<int64_t>(config.biases.size()) / query_heads) {
  CHECK(distances_ > 0);
}

float RelativeBias::Bias(int query_head, int64_t distance) const {
  return biases_[query_head * distances_ +
                 std::clamp<int64_t>(distance, 0, distances_ - 1)];
}

void RelativeBias::AddTo(int query_head, int64_t query_position,
                         std::span<const int64_t> key_positions,
                         float* logits) const {
  for (size_t i = 0; i < key_positions.size(); ++i) {
    logits[i] += Bias(query_head, query_position - key_positions[i]);
  }
}

}  // namespace mneme::attention
