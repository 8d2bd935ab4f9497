#include "tests/reference/rope.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstring>
#include <numbers>

namespace mneme::reference {

std::pair<double, double> CosSin(int64_t position, double frequency) {
  // Position and frequency in halves of 26 bits: the four products are exact,
  // and the library reduces each angle exactly.
  uint64_t bits;
  std::memcpy(&bits, &frequency, sizeof(bits));
  bits &= ~((uint64_t{1} << 27) - 1);
  double high;
  std::memcpy(&high, &bits, sizeof(high));
  const int64_t low_position = position % (1 << 26);
  std::complex<long double> turned = 1;
  for (const double f : {high, frequency - high}) {
    for (const int64_t p : {low_position, position - low_position}) {
      const long double angle = static_cast<double>(p) * f;
      turned *= std::complex<long double>(std::cos(angle), std::sin(angle));
    }
  }
  return {static_cast<double>(turned.real()),
          static_cast<double>(turned.imag())};
}

std::vector<double> YarnFrequencies(double theta, int n, double factor,
                                    double original_length, double beta_fast,
                                    double beta_slow) {
  const auto corr = [&](double rotations) {
    return n * std::log(original_length / (2 * std::numbers::pi * rotations)) /
           (2 * std::log(theta));
  };
  const double lo = std::max(std::floor(corr(beta_fast)), 0.0);
  double hi = std::min(std::ceil(corr(beta_slow)), n - 1.0);
  if (lo == hi) hi += 0.001;
  std::vector<double> frequencies;
  for (int j = 0; j < n / 2; ++j) {
    const double b = 1 / std::pow(theta, 2.0 * j / n);
    const double w = 1 - std::min(1.0, std::max(0.0, (j - lo) / (hi - lo)));
    frequencies.push_back(b / factor * (1 - w) + b * w);
  }
  return frequencies;
}

std::vector<double> Rotate(const std::vector<float>& row, int64_t position,
                           const std::vector<double>& frequencies,
                           bool interleaved) {
  std::vector<double> turned(row.begin(), row.end());
  const size_t pairs = frequencies.size();
  for (size_t j = 0; j < pairs; ++j) {
    const size_t x = interleaved ? 2 * j : j;
    const size_t y = interleaved ? 2 * j + 1 : j + pairs;
    const auto [c, s] = CosSin(position, frequencies[j]);
    turned[x] = row[x] * c - row[y] * s;
    turned[y] = row[x] * s + row[y] * c;
  }
  return turned;
}

}  // namespace mneme::reference
