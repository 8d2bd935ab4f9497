// attention/gate.h: how a memory without a softmax joins local attention.

#ifndef MNEME_ATTENTION_GATE_H_
#define MNEME_ATTENTION_GATE_H_

#include <span>

namespace mneme::attention {

// What an empty memory does to the result: nothing, or it counts as zeros, as
// the formula has it.
enum class EmptyMemory { kBypass, kStrict };

// 1 / (1 + exp(-logit)).
float Sigmoid(float logit);

// local = g * memory + (1 - g) * local (Infini-attention, arXiv 2404.07143,
// eq. 6). `g` is the weight on memory, everywhere.
// Shapes:   memory [value_dim], or null when empty; local_in_out [value_dim].
// REQUIRES: 0 <= g <= 1; memory is finite.
void MixByGate(float g, const float* memory, EmptyMemory empty,
               std::span<float> local_in_out);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_GATE_H_
