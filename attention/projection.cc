#include "attention/projection.h"

#include <cmath>
#include <numbers>
#include <random>
#include <utility>

#include "base/check.h"

namespace mneme::attention {
namespace {

// Everything here is made of operations that IEEE 754 rounds in one way. The
// library's logarithm and its distributions differ between machines, and so
// does a * b + c, which a compiler may contract: fma leaves it no choice.

double Dot(const double* a, const double* b, int dim) {
  double sum = 0;
  for (int i = 0; i < dim; ++i) sum = std::fma(a[i], b[i], sum);
  return sum;
}

// ln(x) to about 1e-16, for 0 < x < 1: ln m = 2 artanh((m - 1) / (m + 1)), with
// the series' terms below (0.172^2)^k.
double Log(double x) {
  int exponent;
  double m = std::frexp(x, &exponent);  // In [0.5, 1).
  if (m < std::numbers::sqrt2 / 2) {
    m *= 2;
    --exponent;
  }
  const double t = (m - 1) / (m + 1);
  const double square = t * t;
  double series = 0;
  for (int k = 10; k >= 0; --k)
    series = std::fma(series, square, 1.0 / (2 * k + 1));
  return std::fma(2 * t, series, exponent * std::numbers::ln2);
}

// Marsaglia's polar method; its engine's numbers are fixed by the standard.
class Gaussian {
 public:
  explicit Gaussian(uint64_t seed) : engine_(seed) {}

  double Next() {
    if (has_second_) {
      has_second_ = false;
      return second_;
    }
    double x, y, square;
    do {
      x = Uniform();
      y = Uniform();
      square = std::fma(x, x, y * y);
    } while (square >= 1 || square == 0);
    const double radius = std::sqrt(-2 * Log(square) / square);
    second_ = y * radius;
    has_second_ = true;
    return x * radius;
  }

 private:
  // In [-1, 1), from the upper 53 bits.
  double Uniform() {
    const auto bits = static_cast<int64_t>(engine_() >> 11);
    return static_cast<double>(bits - (int64_t{1} << 52)) * 0x1p-52;
  }

  std::mt19937_64 engine_;
  double second_ = 0;
  bool has_second_ = false;
};

std::vector<double> Row(Gaussian& gaussian, int dim) {
  std::vector<double> row(dim);
  for (double& x : row) x = gaussian.Next();
  return row;
}

// Makes `row` of length one and orthogonal to the `count` rows of `basis`.
// Twice is enough (Gram and Schmidt, with one repetition).
void Orthogonalize(const std::vector<std::vector<double>>& basis,
                   std::vector<double>& row) {
  const int dim = static_cast<int>(row.size());
  for (int pass = 0; pass < 2; ++pass) {
    for (const std::vector<double>& other : basis) {
      const double share = -Dot(row.data(), other.data(), dim);
      for (int i = 0; i < dim; ++i) row[i] = std::fma(share, other[i], row[i]);
    }
  }
  const double norm = std::sqrt(Dot(row.data(), row.data(), dim));
  for (double& x : row) x /= norm;
}

}  // namespace

std::vector<float> OrthogonalProjection(int feature_count, int key_dim,
                                        uint64_t seed, RowNorms norms) {
  CHECK(feature_count >= 0 && key_dim > 0);
  Gaussian gaussian(seed);
  std::vector<float> projection;
  projection.reserve(static_cast<size_t>(feature_count) * key_dim);
  std::vector<std::vector<double>> basis;
  for (int f = 0; f < feature_count; ++f) {
    if (f % key_dim == 0) basis.clear();
    std::vector<double> direction = Row(gaussian, key_dim);
    Orthogonalize(basis, direction);
    double norm = std::sqrt(static_cast<double>(key_dim));
    if (norms == RowNorms::kGaussian) {
      const std::vector<double> length = Row(gaussian, key_dim);
      norm = std::sqrt(Dot(length.data(), length.data(), key_dim));
    }
    for (const double x : direction) {
      projection.push_back(static_cast<float>(x * norm));
    }
    basis.push_back(std::move(direction));
  }
  return projection;
}

}  // namespace mneme::attention
