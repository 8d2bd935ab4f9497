#include "tests/e2e/plane_reference.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "tests/reference/rope.h"

namespace mneme::e2e {
namespace {

constexpr size_t kPairs = kDim / 2;

// YaRN's m = 0.1 ln(factor) + 1 (arXiv 2309.00071, eq. 22), on both sides.
const double kLogitScale =
    std::pow(0.1 * std::log(kFactor) + 1, 2) / std::sqrt(double{kDim});

// cos, then sin, of every pair's angle over the distance to each token,
// [count, kDim].
std::vector<double> Turns(int64_t position, size_t first, size_t count) {
  static const std::vector<double> frequencies =
      reference::YarnFrequencies(kTheta, kDim, kFactor, kTrained, 32, 1);
  std::vector<double> turns(count * kDim);
  for (size_t i = 0; i < count; ++i) {
    const auto distance =
        static_cast<double>(position) - static_cast<double>(first + i);
    for (size_t j = 0; j < kPairs; ++j) {
      turns[i * kDim + j] = std::cos(distance * frequencies[j]);
      turns[i * kDim + kPairs + j] = std::sin(distance * frequencies[j]);
    }
  }
  return turns;
}

// The product of the turned query and key, by their distance alone (arXiv
// 2104.09864, eq. 16): nothing is shared with the way the server rotates.
double Logit(const float* q, const float* k, const double* turn) {
  double sum = 0;
  for (size_t j = 0; j < kPairs; ++j) {
    const double q0 = q[j], q1 = q[j + kPairs];
    const double k0 = k[j], k1 = k[j + kPairs];
    sum +=
        (q0 * k0 + q1 * k1) * turn[j] - (q1 * k0 - q0 * k1) * turn[j + kPairs];
  }
  return kLogitScale * sum;
}

Seen Softmax(const std::vector<double>& logits,
             const std::vector<float>& values) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  std::vector<double> out(kDim);
  for (size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp(logits[i] - largest);
    total += weight;
    for (size_t d = 0; d < kDim; ++d) out[d] += weight * values[i * kDim + d];
  }
  for (double& x : out) x /= total;
  return {std::move(out), largest + std::log(total)};
}

}  // namespace

std::vector<Seen> Reference(const PlaneModel& model, size_t layer,
                            const std::vector<float>& queries, int64_t position,
                            size_t first, size_t last) {
  const size_t visible = std::min<size_t>(last, position + 1);
  CHECK(first < visible);
  const size_t count = visible - first;
  const std::vector<double> turns = Turns(position, first, count);
  std::vector<Seen> seen;
  std::vector<double> logits(count);
  for (size_t kv_head = 0; kv_head < kKvHeads; ++kv_head) {
    const auto keys = model.Keys(layer, kv_head, first, count);
    const auto values = model.Values(layer, kv_head, first, count);
    for (size_t i = 0; i < kGroup; ++i) {
      const float* query = queries.data() + seen.size() * kDim;
      for (size_t token = 0; token < count; ++token) {
        logits[token] = Logit(query, keys.data() + token * kDim,
                              turns.data() + token * kDim);
      }
      seen.push_back(Softmax(logits, values));
    }
  }
  return seen;
}

Seen Merge(const Seen& a, const Seen& b) {
  const double largest = std::max(a.lse, b.lse);
  const double wa = std::exp(a.lse - largest);
  const double wb = std::exp(b.lse - largest);
  Seen merged{std::vector<double>(kDim), largest + std::log(wa + wb)};
  for (size_t d = 0; d < kDim; ++d) {
    merged.out[d] = (wa * a.out[d] + wb * b.out[d]) / (wa + wb);
  }
  return merged;
}

}  // namespace mneme::e2e
