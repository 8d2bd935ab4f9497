#include "attention/gate.h"

#include <cmath>
#include <cstddef>

namespace mneme::attention {

float Sigmoid(float logit) { return 1.0F / (1.0F + std::exp(-logit)); }

void MixByGate(float g, const float* memory, EmptyMemory empty,
               std::span<float> local_in_out) {
  if (memory == nullptr) {
    if (empty == EmptyMemory::kBypass) return;
    for (float& x : local_in_out) x *= 1 - g;
    return;
  }
  for (size_t i = 0; i < local_in_out.size(); ++i) {
    local_in_out[i] = g * memory[i] + (1 - g) * local_in_out[i];
  }
}

}  // namespace mneme::attention
