#include "attention/compressive.h"

#include <algorithm>

#include "attention/kernels.h"
#include "base/check.h"

namespace mneme::attention {
namespace {

// Tokens whose features and values stay in the second cache while every row of
// the matrix goes over them.
constexpr size_t kTile = 256;

// The delta rule's guard against phi(k) . z = 0, of the reference code.
constexpr float kDeltaFloor = 1e-10f;

// phi(q) matrix, and phi(q) . normalizer in `denominator`.
void Project(const CompressiveState& state, const float* features,
             float* denominator, float* out) {
  std::fill_n(out, state.value_dim, 0.0f);
  AddWeightedRows(features, state.matrix.data(), state.key_dim, state.value_dim,
                  out);
  DotRows(features, 1, state.normalizer.data(), 1, state.key_dim, denominator);
}

// values -= what `state` returns for each key.
void SubtractKnown(const CompressiveState& state, const float* features,
                   size_t count, float* values) {
  std::vector<float> known(state.value_dim);
  for (size_t r = 0; r < count; ++r) {
    float denominator;
    Project(state, features + r * state.key_dim, &denominator, known.data());
    denominator = std::max(denominator, kDeltaFloor);
    float* const value = values + r * state.value_dim;
    for (int i = 0; i < state.value_dim; ++i) {
      value[i] -= known[i] / denominator;
    }
  }
}

// Sums a call's tokens into a state of their own, then adds that. `before` is
// what the delta rule corrects by, or null.
void AbsorbTokens(const float* keys, const float* values, size_t count,
                  const CompressiveState* before, CompressiveState& state) {
  CompressiveState call(state.key_dim, state.value_dim);
  const std::vector<float> ones(std::min(count, kTile), 1.0f);
  std::vector<float> features(ones.size() * state.key_dim);
  std::vector<float> corrected;
  for (size_t first = 0; first < count; first += kTile) {
    const size_t tokens = std::min(kTile, count - first);
    const float* tile_values = values + first * state.value_dim;
    EluPlusOne(keys + first * state.key_dim, tokens * state.key_dim,
               features.data());
    if (before != nullptr) {
      corrected.assign(tile_values, tile_values + tokens * state.value_dim);
      SubtractKnown(*before, features.data(), tokens, corrected.data());
      tile_values = corrected.data();
    }
    AddWeightedRowsEach(features.data(), 1, state.key_dim, tile_values, tokens,
                        state.value_dim, call.matrix.data(), state.key_dim);
    AddWeightedRows(ones.data(), features.data(), tokens, state.key_dim,
                    call.normalizer.data());
  }
  for (size_t i = 0; i < state.matrix.size(); ++i) {
    state.matrix[i] += call.matrix[i];
  }
  for (size_t i = 0; i < state.normalizer.size(); ++i) {
    state.normalizer[i] += call.normalizer[i];
  }
  state.token_count += count;
}

// One row of LinearAttention.
void ReadWithEpsilon(const CompressiveState& state, const float* query,
                     float eps, float* features, float* out) {
  float denominator;
  EluPlusOne(query, state.key_dim, features);
  Project(state, features, &denominator, out);
  for (int i = 0; i < state.value_dim; ++i) out[i] /= denominator + eps;
}

}  // namespace

CompressiveState::CompressiveState(int key_dim, int value_dim)
    : key_dim(key_dim),
      value_dim(value_dim),
      matrix(static_cast<size_t>(key_dim) * value_dim),
      normalizer(key_dim) {}

void Absorb(const float* keys, const float* values, size_t count,
            CompressiveState& state) {
  AbsorbTokens(keys, values, count, nullptr, state);
}

void AbsorbDelta(const float* keys, const float* values, size_t count,
                 CompressiveState& state) {
  AbsorbDelta(keys, values, count, state, state);
}

void AbsorbDelta(const float* keys, const float* values, size_t count,
                 const CompressiveState& before, CompressiveState& state) {
  AbsorbTokens(keys, values, count, before.token_count == 0 ? nullptr : &before,
               state);
}

bool Read(const CompressiveState& state, const float* query,
          float denominator_floor, float* out) {
  if (state.token_count == 0) {
    std::fill_n(out, state.value_dim, 0.0f);
    return false;
  }
  std::vector<float> features(state.key_dim);
  float denominator;
  EluPlusOne(query, state.key_dim, features.data());
  Project(state, features.data(), &denominator, out);
  denominator = std::max(denominator, denominator_floor);
  for (int i = 0; i < state.value_dim; ++i) {
    out[i] = denominator > 0 ? out[i] / denominator : 0.0f;
  }
  return true;
}

void LinearAttention(const float* queries, size_t query_count,
                     const float* keys, const float* values, size_t key_count,
                     LinearMask mask, float eps, CompressiveState& state,
                     float* out) {
  std::vector<float> features(state.key_dim);
  const bool causal = mask == LinearMask::kCausal;
  CHECK(!causal || query_count == key_count);
  if (!causal) Absorb(keys, values, key_count, state);
  for (size_t i = 0; i < query_count; ++i) {
    if (causal) {
      Absorb(keys + i * state.key_dim, values + i * state.value_dim, 1, state);
    }
    ReadWithEpsilon(state, queries + i * state.key_dim, eps, features.data(),
                    out + i * state.value_dim);
  }
}

}  // namespace mneme::attention
