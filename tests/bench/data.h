// tests/bench/data.h: what the benchmarks are fed with, from a seed.

#ifndef MNEME_TESTS_BENCH_DATA_H_
#define MNEME_TESTS_BENCH_DATA_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "attention/dtype.h"
#include "tests/bench/contest.h"

namespace mneme::bench {

// The seed in the environment variable MNEME_SEED, or a fixed one; said on
// stderr.
uint64_t Seed();

std::vector<float> Normals(size_t count, std::mt19937_64& random);

// `numbers` in another type, as they travel.
std::string Narrow(attention::DType dtype, const std::vector<float>& numbers);

// Keys that lie around `centres` points, as those of trained heads do and
// independent ones do not. Shapes: [count, dim].
std::vector<float> ClusteredKeys(size_t count, size_t dim, size_t centres,
                                 std::mt19937_64& random);

// English-like prose: sentences of words whose frequencies fall as 1 / rank
// (Zipf's law), of at least `bytes` bytes.
std::string Prose(size_t bytes, std::mt19937_64& random);

// The value of a StatusOr, or the end of the process.
template <typename StatusOr>
auto Get(StatusOr status_or) {
  if (!status_or.ok()) Fail(std::string(status_or.status().message()));
  return *std::move(status_or);
}

}  // namespace mneme::bench

#endif  // MNEME_TESTS_BENCH_DATA_H_
