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

namespace {

// 0 where pair j is kept, 1 where it is interpolated.
double RampAt(int j, double theta, int n, double original_length, double fast,
              double slow, bool truncate) {
  const auto corr = [&](double rotations) {
    return n * std::log(original_length / (2 * std::numbers::pi * rotations)) /
           (2 * std::log(theta));
  };
  double lo = truncate ? std::floor(corr(fast)) : corr(fast);
  double hi = truncate ? std::ceil(corr(slow)) : corr(slow);
  lo = std::max(lo, 0.0);
  hi = std::min(hi, n - 1.0);
  if (lo == hi) hi += 0.001;
  return std::min(1.0, std::max(0.0, (j - lo) / (hi - lo)));
}

}  // namespace

std::vector<double> YarnFrequencies(double theta, int n, double factor,
                                    double original_length, double beta_fast,
                                    double beta_slow, bool truncate) {
  std::vector<double> frequencies;
  for (int j = 0; j < n / 2; ++j) {
    const double b = 1 / std::pow(theta, 2.0 * j / n);
    const double w = 1 - RampAt(j, theta, n, original_length, beta_fast,
                                beta_slow, truncate);
    frequencies.push_back(b / factor * (1 - w) + b * w);
  }
  return frequencies;
}

std::vector<double> NtkByPartsFrequencies(double theta, int n,
                                          const ByParts& parts) {
  const double ntk_theta =
      theta * std::pow(parts.factor, n / static_cast<double>(n - 2));
  std::vector<double> frequencies;
  for (int j = 0; j < n / 2; ++j) {
    const double b = 1 / std::pow(theta, 2.0 * j / n);
    const double linear = b / parts.factor;
    const double ntk = 1 / std::pow(ntk_theta, 2.0 * j / n);
    const double beta = 1 - RampAt(j, theta, n, parts.original_length,
                                   parts.beta_0, parts.beta_1, true);
    const double gamma = 1 - RampAt(j, theta, n, parts.original_length,
                                    parts.gamma_0, parts.gamma_1, true);
    const double w = beta * parts.ntk_factor;
    const double x = linear * (1 - w) + ntk * w;
    const double u = gamma * parts.extrapolation_factor;
    frequencies.push_back(x * (1 - u) + b * u);
  }
  return frequencies;
}

std::vector<double> Llama3Frequencies(double theta, int n, double factor,
                                      double original_length, double low,
                                      double high) {
  std::vector<double> frequencies;
  for (int j = 0; j < n / 2; ++j) {
    const double b = 1 / std::pow(theta, 2.0 * j / n);
    const double wavelength = 2 * std::numbers::pi / b;
    if (wavelength < original_length / high) {
      frequencies.push_back(b);
    } else if (wavelength > original_length / low) {
      frequencies.push_back(b / factor);
    } else {
      const double smooth = (original_length / wavelength - low) / (high - low);
      frequencies.push_back((1 - smooth) * b / factor + smooth * b);
    }
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
