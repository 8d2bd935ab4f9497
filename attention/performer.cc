#include "attention/performer.h"

#include <algorithm>
#include <cmath>

#include "attention/kernels.h"
#include "base/check.h"

namespace mneme::attention {
namespace {

// Tokens whose features stay in the second cache.
constexpr size_t kTile = 64;

// y of `count` rows. Shapes: rows [count, key_dim]; y [count, feature_count].
void Project(const PerformerFeatures& features, const float* rows, size_t count,
             float* y) {
  const float scale =
      static_cast<float>(1 / std::sqrt(std::sqrt(features.key_dim)));
  const auto feature_count = static_cast<size_t>(features.feature_count);
  DotRows(rows, count, features.projection.data(), feature_count,
          features.key_dim, y);
  for (size_t i = 0; i < count * feature_count; ++i) y[i] *= scale;
}

// y of one row becomes its feature, without epsilon and 1 / sqrt(count). Every
// exponent is at most 0.
void Activate(const PerformerFeatures& features, const float* row,
              float stabilizer, float* y) {
  const auto feature_count = static_cast<size_t>(features.feature_count);
  if (features.kernel == PerformerKernel::kRelu) {
    for (size_t f = 0; f < feature_count; ++f) y[f] = std::max(y[f], 0.0f);
    return;
  }
  float square;
  DotRows(row, 1, row, 1, features.key_dim, &square);
  const double half_norm = square / (2 * std::sqrt(features.key_dim));
  for (size_t f = 0; f < feature_count; ++f) {
    y[f] = static_cast<float>(y[f] - half_norm - stabilizer);
  }
  Exponentials(y, feature_count, 0.0f, y);
}

// Moves what the keys left to a stabiliser that is at least as large.
void RaiseStabilizer(float stabilizer, PerformerState& state) {
  if (stabilizer <= state.stabilizer) return;
  if (state.token_count > 0) {
    const float scale = std::exp(state.stabilizer - stabilizer);
    for (float& x : state.matrix) x *= scale;
    for (float& x : state.normalizer) x *= scale;
  }
  state.stabilizer = stabilizer;
}

}  // namespace

PerformerState::PerformerState(int feature_count, int value_dim)
    : value_dim(value_dim),
      matrix(static_cast<size_t>(feature_count) * value_dim),
      normalizer(feature_count),
      value_sum(value_dim) {}

void AbsorbFeatures(const PerformerFeatures& features, const float* keys,
                    const float* values, size_t count, PerformerState& state) {
  const auto feature_count = static_cast<size_t>(features.feature_count);
  const std::vector<float> ones(std::min(count, kTile), 1.0f);
  std::vector<float> y(ones.size() * feature_count);
  for (size_t first = 0; first < count; first += kTile) {
    const size_t tokens = std::min(kTile, count - first);
    const float* const tile_keys = keys + first * features.key_dim;
    const float* const tile_values = values + first * state.value_dim;
    Project(features, tile_keys, tokens, y.data());
    if (features.kernel == PerformerKernel::kSoftmax) {
      RaiseStabilizer(Maximum(y.data(), tokens * feature_count), state);
    }
    for (size_t t = 0; t < tokens; ++t) {
      Activate(features, tile_keys + t * features.key_dim, state.stabilizer,
               y.data() + t * feature_count);
    }
    AddWeightedRowsEach(y.data(), 1, feature_count, tile_values, tokens,
                        state.value_dim, state.matrix.data(), feature_count);
    AddWeightedRows(ones.data(), y.data(), tokens, feature_count,
                    state.normalizer.data());
    AddWeightedRows(ones.data(), tile_values, tokens, state.value_dim,
                    state.value_sum.data());
    state.token_count += tokens;
  }
}

bool ReadFeatures(const PerformerFeatures& features,
                  const PerformerState& state, const float* query,
                  float denominator_epsilon, float* out) {
  std::fill_n(out, state.value_dim, 0.0f);
  if (state.token_count == 0) return false;
  const auto feature_count = static_cast<size_t>(features.feature_count);
  std::vector<float> phi(feature_count);
  Project(features, query, 1, phi.data());
  Activate(features, query, Maximum(phi.data(), feature_count), phi.data());
  double phi_sum = 0;
  for (float& f : phi) {
    f += features.epsilon;
    phi_sum += f;
  }
  // The factor 1 / sqrt(feature_count) of each side cancels but for the
  // denominator's epsilon, which only one side multiplies.
  const bool is_softmax = features.kernel == PerformerKernel::kSoftmax;
  const double guard =
      denominator_epsilon *
      (is_softmax ? std::sqrt(static_cast<double>(feature_count)) : 1.0);
  float denominator;
  DotRows(phi.data(), 1, state.normalizer.data(), 1, feature_count,
          &denominator);
  const double epsilon = features.epsilon;
  const double total =
      denominator +
      phi_sum * (epsilon * static_cast<double>(state.token_count) + guard);
  AddWeightedRows(phi.data(), state.matrix.data(), feature_count,
                  state.value_dim, out);
  for (int i = 0; i < state.value_dim; ++i) {
    const double weighted = out[i] + phi_sum * epsilon * state.value_sum[i];
    // Without epsilons, every feature may have vanished.
    out[i] = total > 0 ? static_cast<float>(weighted / total) : 0.0f;
  }
  return true;
}

void PerformerAttention(const PerformerFeatures& features, const float* queries,
                        size_t query_count, const float* keys,
                        const float* values, size_t key_count, LinearMask mask,
                        float denominator_epsilon, PerformerState& state,
                        float* out) {
  const bool causal = mask == LinearMask::kCausal;
  CHECK(!causal || query_count == key_count);
  if (!causal) AbsorbFeatures(features, keys, values, key_count, state);
  for (size_t i = 0; i < query_count; ++i) {
    if (causal) {
      AbsorbFeatures(features, keys + i * features.key_dim,
                     values + i * state.value_dim, 1, state);
    }
    ReadFeatures(features, state, queries + i * features.key_dim,
                 denominator_epsilon, out + i * state.value_dim);
  }
}

}  // namespace mneme::attention
