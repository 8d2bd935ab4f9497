#include "attention/softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "attention/kernels.h"
#include "base/check.h"

namespace mneme::attention {
namespace {

constexpr float kMasked = -std::numeric_limits<float>::infinity();

// Values of a tile (64 KiB of 128 floats each) stay in the second cache while
// the rows, a block at a time, go over them.
constexpr size_t kTile = 128;
constexpr size_t kRowBlock = 4;

}  // namespace

SoftmaxAccumulator::SoftmaxAccumulator(size_t rows, size_t value_dim)
    : rows_(rows),
      value_dim_(value_dim),
      largest_(rows, kMasked),
      total_(rows),
      sum_(rows * value_dim),
      weights_(kRowBlock * kTile),
      tile_(kRowBlock * value_dim) {}

void SoftmaxAccumulator::Add(const float* logits, const float* values,
                             size_t count) {
  for (size_t k = 0; k < count; k += kTile) {
    const size_t keys = std::min(kTile, count - k);
    for (size_t row = 0; row < rows_; row += kRowBlock) {
      AddTile(row, std::min(kRowBlock, rows_ - row), logits + row * count + k,
              count, values + k * value_dim_, keys);
    }
  }
}

void SoftmaxAccumulator::AddRow(size_t row, const float* logits,
                                const float* values, size_t count) {
  DCHECK(row < rows_);
  for (size_t k = 0; k < count; k += kTile) {
    const size_t keys = std::min(kTile, count - k);
    AddTile(row, 1, logits + k, 0, values + k * value_dim_, keys);
  }
}

void SoftmaxAccumulator::AddTile(size_t first, size_t row_count,
                                 const float* logits, size_t logit_step,
                                 const float* values, size_t count) {
  bool any = false;
  for (size_t r = 0; r < row_count; ++r) {
    any |= Weigh(first + r, logits + r * logit_step, count,
                 weights_.data() + r * kTile);
  }
  if (!any) return;
  std::fill_n(tile_.begin(), row_count * value_dim_, 0.0f);
  if (row_count == 1) {
    AddWeightedRows(weights_.data(), values, count, value_dim_, tile_.data());
  } else {
    AddWeightedRowsEach(weights_.data(), kTile, 1, values, count, value_dim_,
                        tile_.data(), row_count);
  }
  AddToDouble(tile_.data(), row_count * value_dim_,
              sum_.data() + first * value_dim_);
}

bool SoftmaxAccumulator::Weigh(size_t row, const float* logits, size_t count,
                               float* weights) {
  const float largest = Maximum(logits, count);
  if (largest == kMasked) {
    std::fill_n(weights, count, 0.0f);
    return false;
  }
  if (largest > largest_[row]) {
    // exp(-infinity) is 0: the first keys rescale nothing into nothing.
    const double scale = std::exp(static_cast<double>(largest_[row]) - largest);
    double* const sum = sum_.data() + row * value_dim_;
    for (size_t i = 0; i < value_dim_; ++i) sum[i] *= scale;
    total_[row] *= scale;
    largest_[row] = largest;
  }
  total_[row] += Exponentials(logits, count, largest_[row], weights);
  return true;
}

void SoftmaxAccumulator::Finish(float* out, float* lse) const {
  std::vector<double> exact(rows_);
  Finish(out, exact.data());
  std::transform(exact.begin(), exact.end(), lse,
                 [](double x) { return static_cast<float>(x); });
}

void SoftmaxAccumulator::Finish(float* out, double* lse) const {
  for (size_t row = 0; row < rows_; ++row) {
    const double* const sum = sum_.data() + row * value_dim_;
    float* const mean = out + row * value_dim_;
    if (largest_[row] == kMasked) {
      std::fill_n(mean, value_dim_, 0.0f);
      lse[row] = kMasked;
      continue;
    }
    for (size_t i = 0; i < value_dim_; ++i) {
      mean[i] = static_cast<float>(sum[i] / total_[row]);
    }
    lse[row] = largest_[row] + std::log(total_[row]);
  }
}

}  // namespace mneme::attention
