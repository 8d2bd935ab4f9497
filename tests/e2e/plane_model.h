// tests/e2e/plane_model.h: what a model with grouped heads and YaRN positions
// would have a session remember.

#ifndef MNEME_TESTS_E2E_PLANE_MODEL_H_
#define MNEME_TESTS_E2E_PLANE_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "mneme/v1/memory_service.pb.h"

namespace mneme::e2e {

// The attention of an 8-billion-parameter model, three layers of it.
inline constexpr size_t kLayers = 3;
inline constexpr size_t kQueryHeads = 32;
inline constexpr size_t kKvHeads = 8;
inline constexpr size_t kGroup = kQueryHeads / kKvHeads;
inline constexpr size_t kDim = 128;
inline constexpr double kTheta = 10'000;
inline constexpr double kFactor = 16;
inline constexpr int64_t kTrained = 4096;

// Of that geometry: FLOAT16, a window, and everything older read in full.
v1::Profile PlaneProfile(uint32_t window);

// Random keys and values, [layers, kv_heads, tokens, kDim], in FLOAT16. A
// token's position is its seq.
class PlaneModel {
 public:
  PlaneModel(size_t tokens, std::mt19937_64& random);

  // The tokens [first, first + count) as they are sent.
  v1::TokenRows Rows(size_t first, size_t count) const;

  // The keys, or values, of these tokens in one bank, [count, kDim].
  std::vector<float> Keys(size_t layer, size_t kv_head, size_t first,
                          size_t count) const;
  std::vector<float> Values(size_t layer, size_t kv_head, size_t first,
                            size_t count) const;

 private:
  const uint16_t* At(const std::vector<uint16_t>& rows, size_t bank,
                     size_t token) const;
  std::vector<float> Floats(const std::vector<uint16_t>& rows, size_t bank,
                            size_t first, size_t count) const;
  void SetTensor(const std::vector<uint16_t>& rows, size_t first, size_t count,
                 v1::Tensor& tensor) const;

  const size_t tokens_;
  std::vector<uint16_t> keys_;
  std::vector<uint16_t> values_;
};

}  // namespace mneme::e2e

#endif  // MNEME_TESTS_E2E_PLANE_MODEL_H_
