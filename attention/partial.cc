#include "attention/partial.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace mneme::attention {

float Merge(std::span<const Partial> parts, std::span<float> out) {
  constexpr float kNothing = -std::numeric_limits<float>::infinity();
  std::fill(out.begin(), out.end(), 0.0f);
  float largest = kNothing;
  for (const Partial& part : parts) largest = std::max(largest, part.lse);
  if (largest == kNothing) return kNothing;

  double total = 0;
  for (const Partial& part : parts) {
    total += std::exp(static_cast<double>(part.lse) - largest);
  }
  for (const Partial& part : parts) {
    if (part.lse == kNothing) continue;
    DCHECK(part.out.size() == out.size());
    const float share = static_cast<float>(
        std::exp(static_cast<double>(part.lse) - largest) / total);
    for (size_t i = 0; i < out.size(); ++i) out[i] += share * part.out[i];
  }
  return static_cast<float>(largest + std::log(total));
}

}  // namespace mneme::attention
