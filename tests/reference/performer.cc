#include "tests/reference/performer.h"

#include <algorithm>
#include <cmath>

#include "tests/reference/attention.h"

namespace mneme::reference {

std::vector<double> FavorProjection(const Favor& favor, const float* row) {
  std::vector<double> y(favor.feature_count);
  const double c = std::pow(static_cast<double>(favor.key_dim), -0.25);
  for (size_t f = 0; f < y.size(); ++f) {
    y[f] = c * Dot(&favor.projection[f * favor.key_dim], row, favor.key_dim);
  }
  return y;
}

std::vector<double> FavorFeatures(const Favor& favor, const float* row,
                                  double stabilizer) {
  std::vector<double> y = FavorProjection(favor, row);
  const double square = Dot(row, row, favor.key_dim);
  const double c = std::pow(static_cast<double>(favor.key_dim), -0.25);
  for (double& f : y) {
    if (favor.relu) {
      f = std::max(f, 0.0) + favor.epsilon;
    } else {
      f = (std::exp(f - square * c * c / 2 - stabilizer) + favor.epsilon) /
          std::sqrt(static_cast<double>(favor.feature_count));
    }
  }
  return y;
}

double FavorStabilizer(const Favor& favor, const float* keys, size_t count) {
  double largest = -INFINITY;
  for (size_t k = 0; k < count; ++k) {
    const std::vector<double> y =
        FavorProjection(favor, keys + k * favor.key_dim);
    largest = std::max(largest, *std::max_element(y.begin(), y.end()));
  }
  return largest;
}

std::vector<double> FavorRead(const Favor& favor, const float* query,
                              const float* keys, const float* values,
                              size_t count, size_t value_dim,
                              double key_stabilizer,
                              double denominator_epsilon) {
  const std::vector<double> phi =
      FavorFeatures(favor, query, FavorStabilizer(favor, query, 1));
  std::vector<double> out(value_dim);
  double total = 0;
  for (const double f : phi) total += f * denominator_epsilon;
  for (size_t k = 0; k < count; ++k) {
    const std::vector<double> features =
        FavorFeatures(favor, keys + k * favor.key_dim, key_stabilizer);
    double weight = 0;
    for (size_t f = 0; f < phi.size(); ++f) weight += phi[f] * features[f];
    total += weight;
    for (size_t i = 0; i < value_dim; ++i) {
      out[i] += weight * values[k * value_dim + i];
    }
  }
  for (double& x : out) x /= total;
  return out;
}

}  // namespace mneme::reference
