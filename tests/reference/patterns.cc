#include "tests/reference/patterns.h"

#include <cmath>

namespace mneme::reference {
namespace {

// `weights` need not sum to 1; their sum's logarithm becomes the lse.
Attended Mean(const std::vector<double>& weights,
              const std::vector<float>& values, size_t value_dim) {
  Attended row{std::vector<double>(value_dim), std::vector<double>(value_dim),
               0};
  double total = 0;
  for (const double weight : weights) total += weight;
  row.lse = std::log(total);
  if (total == 0) return row;
  for (size_t j = 0; j < weights.size(); ++j) {
    for (size_t i = 0; i < value_dim; ++i) {
      const double value = values[j * value_dim + i];
      row.out[i] += weights[j] / total * value;
      row.magnitude[i] += weights[j] / total * std::abs(value);
    }
  }
  return row;
}

}  // namespace

std::vector<Attended> AttendWhere(const std::vector<float>& values,
                                  size_t tokens, size_t value_dim,
                                  const Matrix& logit, const Matrix& times) {
  std::vector<Attended> rows;
  for (size_t i = 0; i < tokens; ++i) {
    std::vector<double> weights(tokens);
    for (size_t j = 0; j < tokens; ++j) {
      const double count = times(i, j);
      if (count > 0) weights[j] = count * std::exp(logit(i, j));
    }
    rows.push_back(Mean(weights, values, value_dim));
  }
  return rows;
}

std::vector<Attended> AttendLandmarks(const std::vector<float>& values,
                                      size_t tokens, size_t value_dim,
                                      size_t block, const Matrix& logit) {
  const auto is_landmark = [&](size_t j) { return j % block == block - 1; };
  std::vector<Attended> rows;
  for (size_t i = 0; i < tokens; ++i) {
    std::vector<double> weights(tokens);
    for (size_t j = 0; j <= i; ++j) {
      if (is_landmark(j)) continue;
      weights[j] = std::exp(logit(i, j));
      if (j / block == i / block) continue;
      double inside = 0;
      const size_t first = j / block * block;
      for (size_t other = first; !is_landmark(other); ++other) {
        inside += std::exp(logit(i, other));
      }
      weights[j] *= std::exp(logit(i, first + block - 1)) / inside;
    }
    rows.push_back(Mean(weights, values, value_dim));
  }
  return rows;
}

}  // namespace mneme::reference
