#include "attention/position.h"

#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "attention/rotate.h"
#include "base/error.h"
#include "base/status_macros.h"

namespace mneme::attention {
namespace {

// Positions that share one evaluation of the trigonometric functions. With 64
// pairs the table of a run takes 128 KiB, which stays in the second cache.
constexpr int64_t kRun = 128;

absl::Status Expect(bool holds, std::string_view field, double given,
                    std::string_view expected) {
  if (holds) return absl::OkStatus();
  return base::InvalidField(field, absl::StrCat(given), expected);
}

// Comparisons with NaN are false, so every bound below refuses it.
bool IsPositive(double x) { return x > 0 && std::isfinite(x); }

absl::Status ValidateYarn(const YarnConfig& yarn) {
  RETURN_IF_ERROR(Expect(yarn.factor >= 1 && std::isfinite(yarn.factor),
                         "position.yarn.factor", yarn.factor,
                         "a finite number of at least 1"));
  RETURN_IF_ERROR(Expect(yarn.original_length > 0,
                         "position.yarn.original_length",
                         static_cast<double>(yarn.original_length),
                         "the positive length the model was trained on"));
  RETURN_IF_ERROR(Expect(IsPositive(yarn.beta_slow), "position.yarn.beta_slow",
                         yarn.beta_slow, "a positive finite number"));
  RETURN_IF_ERROR(
      Expect(yarn.beta_fast > yarn.beta_slow && std::isfinite(yarn.beta_fast),
             "position.yarn.beta_fast", yarn.beta_fast,
             absl::StrCat("more than beta_slow (", yarn.beta_slow, ")")));
  if (yarn.attention_factor.has_value()) {
    RETURN_IF_ERROR(Expect(
        IsPositive(*yarn.attention_factor), "position.yarn.attention_factor",
        *yarn.attention_factor, "a positive finite number, or nothing"));
  }
  RETURN_IF_ERROR(Expect(IsPositive(yarn.attn_factor),
                         "position.yarn.attn_factor", yarn.attn_factor,
                         "a positive finite number"));
  return Expect(
      yarn.extrapolation_factor >= 0 && yarn.extrapolation_factor <= 1,
      "position.yarn.extrapolation_factor", yarn.extrapolation_factor,
      "a number from 0 to 1");
}

// cos and sin of position * frequency. The product's rounding error reaches
// 1e-4 radians at 2^40 positions, so it is recovered and turned by as well.
void CosSin(double position, double frequency, double* cos, double* sin) {
  const double angle = position * frequency;
  const double rest = std::fma(position, frequency, -angle);
  const double c = std::cos(angle);
  const double s = std::sin(angle);
  const double rest_cos = std::cos(rest);
  const double rest_sin = std::sin(rest);
  *cos = c * rest_cos - s * rest_sin;
  *sin = s * rest_cos + c * rest_sin;
}

}  // namespace

absl::Status Validate(const PositionConfig& config, int key_dim) {
  if (config.family == PositionFamily::kNone) return absl::OkStatus();
  // At 1 every pair turns alike, and YaRN divides by ln(theta).
  RETURN_IF_ERROR(Expect(config.theta > 1 && std::isfinite(config.theta),
                         "position.theta", config.theta,
                         "a finite number above 1"));
  const int rotary_dim = config.rotary_dim == 0 ? key_dim : config.rotary_dim;
  RETURN_IF_ERROR(
      Expect(rotary_dim > 0 && rotary_dim <= key_dim && rotary_dim % 2 == 0,
             "position.rotary_dim", config.rotary_dim,
             absl::StrCat("an even number up to the key dimension ", key_dim,
                          ", or 0 for an even whole")));
  if (config.family == PositionFamily::kYarn) return ValidateYarn(config.yarn);
  return absl::OkStatus();
}

absl::StatusOr<PositionEncoder> PositionEncoder::Create(
    const PositionConfig& config, int key_dim) {
  RETURN_IF_ERROR(Validate(config, key_dim));
  const int rotary_dim = config.rotary_dim == 0 ? key_dim : config.rotary_dim;
  switch (config.family) {
    case PositionFamily::kNone:
      break;
    case PositionFamily::kRope:
      return PositionEncoder(config.layout,
                             RopeFrequencies(config.theta, rotary_dim), 1);
    case PositionFamily::kYarn:
      return PositionEncoder(
          config.layout, YarnFrequencies(config.theta, rotary_dim, config.yarn),
          YarnAttentionFactor(config.yarn));
  }
  return PositionEncoder(config.layout, {}, 1);
}

PositionEncoder::PositionEncoder(RotaryLayout layout,
                                 std::vector<double> inv_freq,
                                 double attention_factor)
    : layout_(layout),
      inv_freq_(std::move(inv_freq)),
      attention_factor_(attention_factor),
      run_cos_(kRun * inv_freq_.size()),
      run_sin_(kRun * inv_freq_.size()) {
  const size_t pairs = inv_freq_.size();
  for (int64_t p = 0; p < kRun; ++p) {
    for (size_t j = 0; j < pairs; ++j) {
      CosSin(static_cast<double>(p), inv_freq_[j], &run_cos_[p * pairs + j],
             &run_sin_[p * pairs + j]);
    }
  }
}

void PositionEncoder::Angles(std::span<const int64_t> positions, float* cos,
                             float* sin) const {
  const size_t pairs = inv_freq_.size();
  if (pairs == 0) return;
  // A position is the start of its run plus a rest below kRun: its angle is the
  // sum of theirs.
  std::vector<double> start_cos(pairs);
  std::vector<double> start_sin(pairs);
  std::optional<int64_t> start;
  for (const int64_t position : positions) {
    const int64_t rest = position & (kRun - 1);
    if (start != position - rest) {
      start = position - rest;
      for (size_t j = 0; j < pairs; ++j) {
        CosSin(static_cast<double>(*start), inv_freq_[j], &start_cos[j],
               &start_sin[j]);
      }
    }
    AddAngles(start_cos.data(), start_sin.data(), &run_cos_[rest * pairs],
              &run_sin_[rest * pairs], pairs, cos, sin);
    cos += pairs;
    sin += pairs;
  }
}

void PositionEncoder::Rotate(float* rows, size_t row_count, size_t row_stride,
                             const float* cos, const float* sin) const {
  const size_t pairs = inv_freq_.size();
  const auto rotate =
      layout_ == RotaryLayout::kHalfSplit ? RotateHalfSplit : RotateInterleaved;
  for (size_t r = 0; r < row_count; ++r) {
    rotate(rows + r * row_stride, cos + r * pairs, sin + r * pairs, pairs);
  }
}

}  // namespace mneme::attention
