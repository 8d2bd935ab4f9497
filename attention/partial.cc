#include "attention/partial.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace mneme::attention {

double Merge(std::span<const Partial> parts, std::span<float> out) {
  constexpr double kNothing = -std::numeric_limits<double>::infinity();
  std::fill(out.begin(), out.end(), 0.0f);
  double largest = kNothing;
  for (const Partial& part : parts) largest = std::max(largest, part.lse);
  if (largest == kNothing) return kNothing;

  double total = 0;
  for (const Partial& part : parts) {
    total += std::exp(part.lse - largest);
  }
  for (const Partial& part : parts) {
    if (part.lse == kNothing) continue;
    DCHECK(part.out.size() == out.size());
    const auto share = static_cast<float>(std::exp(part.lse - largest) / total);
    for (size_t i = 0; i < out.size(); ++i) out[i] += share * part.out[i];
  }
  return largest + std::log(total);
}

}  // namespace mneme::attention
