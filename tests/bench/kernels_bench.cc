// The inner loops of attention against plain loops and a BLAS.

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "absl/strings/str_cat.h"
#include "attention/dtype.h"
#include "attention/kernels.h"
#include "tests/bench/contest.h"
#include "tests/bench/data.h"
#include "tests/bench/exact.h"

namespace mneme::bench {
namespace {

constexpr size_t kDim = 128;
constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

void PlainDotRows(const float* queries, size_t query_count, const float* keys,
                  size_t key_count, size_t dim, float* logits) {
  for (size_t q = 0; q < query_count; ++q) {
    for (size_t k = 0; k < key_count; ++k) {
      float sum = 0;
      for (size_t i = 0; i < dim; ++i) {
        sum += queries[q * dim + i] * keys[k * dim + i];
      }
      logits[q * key_count + k] = sum;
    }
  }
}

void PlainAddWeightedRows(const float* weights, const float* rows,
                          size_t row_count, size_t dim, float* out) {
  for (size_t r = 0; r < row_count; ++r) {
    for (size_t i = 0; i < dim; ++i) out[i] += weights[r] * rows[r * dim + i];
  }
}

float PlainExponentials(const float* logits, size_t count, float shift,
                        float* weights) {
  float sum = 0;
  for (size_t i = 0; i < count; ++i) {
    weights[i] = std::exp(logits[i] - shift);
    sum += weights[i];
  }
  return sum;
}

// IEEE 754 binary16, field by field.
float PlainHalf(uint16_t half) {
  const int exponent = half >> 10 & 0x1F;
  const int fraction = half & 0x3FF;
  const float size =
      exponent == 0
          ? std::ldexp(static_cast<float>(fraction), -24)
          : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  return (half & 0x8000) != 0 ? -size : size;
}

void PlainHalves(const std::byte* in, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) {
    uint16_t half = 0;
    std::memcpy(&half, in + 2 * i, sizeof half);
    out[i] = PlainHalf(half);
  }
}

void BenchDotRows(const Arena& arena, std::mt19937_64& random) {
  const size_t keys = arena.smoke() ? 128 : 4096;
  const std::vector<float> key_rows = Normals(keys * kDim, random);
  for (const size_t queries : {1, 4, 32}) {
    const std::vector<float> query_rows = Normals(queries * kDim, random);
    std::vector<float> ours(queries * keys);
    std::vector<float> theirs(queries * keys);
    const auto run = [&] {
      attention::DotRows(query_rows.data(), queries, key_rows.data(), keys,
                         kDim, ours.data());
    };
    const auto blas = [&] {
      BlasDotRows(query_rows.data(), queries, key_rows.data(), keys, kDim,
                  theirs.data());
    };
    const auto plain = [&] {
      PlainDotRows(query_rows.data(), queries, key_rows.data(), keys, kDim,
                   theirs.data());
    };
    Contest contest{
        .name = absl::StrCat("dot_rows_", queries, "x", keys, "x", kDim),
        .unit = "GFLOP/s",
        .work = 2e-9 * static_cast<double>(queries * keys * kDim),
        .against = "plain loop"};
    run();
    plain();
    // dim roundings on either side, each of at most |q| |k| times epsilon; the
    // norms of normal rows are near sqrt(dim) and below twice that.
    const double tolerance = 2 * kDim * kEpsilon * 4 * kDim;
    ExpectNear(contest.name, ours.data(), theirs.data(), ours.size(),
               tolerance);
    arena.Compare(contest, run, plain);
    contest.against = "OpenBLAS sgemm";
    arena.Compare(contest, run, blas);
  }
}

void BenchAddWeightedRows(const Arena& arena, std::mt19937_64& random) {
  const size_t count = arena.smoke() ? 128 : 4096;
  const std::vector<float> rows = Normals(count * kDim, random);
  std::vector<float> weights(count);
  for (float& weight : weights) weight = 1.0F / static_cast<float>(count);
  std::vector<float> ours(kDim);
  std::vector<float> theirs(kDim);
  const auto run = [&] {
    attention::AddWeightedRows(weights.data(), rows.data(), count, kDim,
                               ours.data());
  };
  const auto plain = [&] {
    PlainAddWeightedRows(weights.data(), rows.data(), count, kDim,
                         theirs.data());
  };
  run();
  plain();
  // A mean of normals below 8 in size: count roundings on either side.
  ExpectNear("add_weighted_rows", ours.data(), theirs.data(), kDim,
             2 * static_cast<double>(count) * kEpsilon * 8);
  arena.Compare({.name = absl::StrCat("add_weighted_rows_", count, "x", kDim),
                 .unit = "GFLOP/s",
                 .work = 2e-9 * static_cast<double>(count * kDim),
                 .against = "plain loop"},
                run, plain);
}

void BenchExponentials(const Arena& arena, std::mt19937_64& random) {
  const size_t count = arena.smoke() ? 128 : 4096;
  const std::vector<float> logits = Normals(count, random);
  std::vector<float> ours(count);
  std::vector<float> theirs(count);
  // Above any normal that will ever be drawn.
  constexpr float kShift = 8;
  const auto run = [&] {
    attention::Exponentials(logits.data(), count, kShift, ours.data());
  };
  const auto plain = [&] {
    PlainExponentials(logits.data(), count, kShift, theirs.data());
  };
  run();
  plain();
  // Both round the argument, of size up to 16, and are good to 4 ulp; weights
  // are at most 1.
  ExpectNear("exponentials", ours.data(), theirs.data(), count,
             (16 + 8) * kEpsilon);
  arena.Compare({.name = absl::StrCat("exponentials_", count),
                 .unit = "G/s",
                 .work = 1e-9 * static_cast<double>(count),
                 .against = "std::exp"},
                run, plain);
}

void BenchHalves(const Arena& arena, std::mt19937_64& random) {
  const size_t count = (arena.smoke() ? 16 : 4096) * kDim;
  const std::string halves =
      Narrow(attention::DType::kF16, Normals(count, random));
  const auto* bytes = reinterpret_cast<const std::byte*>(halves.data());
  std::vector<float> ours(count);
  std::vector<float> theirs(count);
  const auto run = [&] {
    attention::ToFloat(attention::DType::kF16, bytes, count, ours.data());
  };
  const auto plain = [&] { PlainHalves(bytes, count, theirs.data()); };
  run();
  plain();
  ExpectNear("float16_to_float", ours.data(), theirs.data(), count, 0);
  arena.Compare({.name = absl::StrCat("float16_to_float_", count),
                 .unit = "GB/s",
                 .work = 1e-9 * static_cast<double>(halves.size()),
                 .against = "plain loop"},
                run, plain);
}

}  // namespace
}  // namespace mneme::bench

int main(int argc, char** argv) {
  using namespace mneme::bench;
  const Arena arena("kernels", argc, argv);
  UseOneBlasThread();
  std::mt19937_64 random(Seed());
  BenchDotRows(arena, random);
  BenchAddWeightedRows(arena, random);
  BenchExponentials(arena, random);
  BenchHalves(arena, random);
}
