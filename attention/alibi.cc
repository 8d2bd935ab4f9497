#include "attention/alibi.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace mneme::attention {
namespace {

// s_c(i), i counted from 1.
double Slope(double bias_max, unsigned count, unsigned i) {
  return std::exp2(-bias_max * i / count);
}

}  // namespace

std::vector<double> AlibiSlopes(const AlibiConfig& alibi, int heads) {
  CHECK(heads > 0);
  const auto wanted = static_cast<unsigned>(heads);
  std::vector<double> slopes;
  // Appends s_count(first), s_count(first + step), ... while heads lack one.
  const auto append = [&](unsigned count, unsigned first, unsigned step) {
    for (unsigned i = first; i <= count && slopes.size() < wanted; i += step) {
      slopes.push_back(Slope(alibi.bias_max, count, i));
    }
  };
  const unsigned below = std::bit_floor(wanted);
  append(below, 1, 1);
  append(2 * below, 1, 2);
  return slopes;
}

AlibiBias::AlibiBias(const AlibiConfig& alibi, int query_heads)
    : slopes_(AlibiSlopes(alibi, query_heads)),
      clip_distance_(
          alibi.clip_distance.value_or(std::numeric_limits<int64_t>::max())) {}

double AlibiBias::Bias(int query_head, int64_t query_position,
                       int64_t key_position) const {
  const int64_t distance =
      std::min(query_position - key_position, clip_distance_);
  return -slopes_[query_head] * static_cast<double>(distance);
}

void AlibiBias::AddTo(int query_head, int64_t query_position,
                      std::span<const int64_t> key_positions,
                      float* logits) const {
  for (size_t i = 0; i < key_positions.size(); ++i) {
    logits[i] = static_cast<float>(
        logits[i] + Bias(query_head, query_position, key_positions[i]));
  }
}

}  // namespace mneme::attention
