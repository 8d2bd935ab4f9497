// tests/testing/random.h: randomness that says how to repeat itself.

#ifndef MNEME_TESTS_TESTING_RANDOM_H_
#define MNEME_TESTS_TESTING_RANDOM_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace mneme::testing {

// The seed in the environment variable MNEME_SEED, or a fixed one.
inline uint64_t Seed() {
  const char* given = std::getenv("MNEME_SEED");
  return given == nullptr ? 20240731 : std::strtoull(given, nullptr, 10);
}

// Failures in its scope print the seed.
// REQUIRES: a local variable, as it traces its scope.
class Random {
 public:
  explicit Random(uint64_t seed)
      : engine_(seed),
        trace_(__FILE__, __LINE__, "MNEME_SEED=" + std::to_string(seed)) {}

  // Both ends included.
  int64_t Int(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }
  double Uniform(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(engine_);
  }
  double Normal() { return std::normal_distribution<double>()(engine_); }
  std::vector<float> Normals(size_t count, double scale = 1) {
    std::vector<float> numbers(count);
    for (float& x : numbers) x = static_cast<float>(scale * Normal());
    return numbers;
  }

 private:
  std::mt19937_64 engine_;
  ::testing::ScopedTrace trace_;
};

}  // namespace mneme::testing

#endif  // MNEME_TESTS_TESTING_RANDOM_H_
