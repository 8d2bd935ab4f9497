#include "attention/position.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "attention/rope.h"
#include "attention/rotate.h"
#include "base/status_macros.h"

namespace mneme::attention {
namespace {

// Positions that share one evaluation of the trigonometric functions. With 64
// pairs the table of a run takes 128 KiB, which stays in the second cache.
constexpr int64_t kRun = 128;

// Longer than any sequence.
constexpr int64_t kEndless = std::numeric_limits<int64_t>::max();

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

std::vector<double> FrequenciesFor(const PositionConfig& config, int rotary_dim,
                                   int64_t length) {
  switch (config.family) {
    case PositionFamily::kNone:
    case PositionFamily::kAlibi:
    case PositionFamily::kRelativeBias:
    case PositionFamily::kLearned:
      return {};
    case PositionFamily::kRope:
    case PositionFamily::kXpos:
      return RopeFrequencies(config.theta, rotary_dim);
    case PositionFamily::kYarn:
      return YarnFrequencies(config.theta, rotary_dim, config.yarn);
    case PositionFamily::kLinear:
      return LinearFrequencies(config.theta, rotary_dim, config.linear);
    case PositionFamily::kNtkAware:
      return NtkAwareFrequencies(config.theta, rotary_dim, config.ntk_aware);
    case PositionFamily::kNtkByParts:
      return NtkByPartsFrequencies(config.theta, rotary_dim,
                                   config.ntk_by_parts);
    case PositionFamily::kDynamicNtk:
      return DynamicNtkFrequencies(config.theta, rotary_dim, config.dynamic_ntk,
                                   length);
    case PositionFamily::kLongRope:
      return LongRopeFrequencies(config.theta, rotary_dim, config.long_rope,
                                 length);
    case PositionFamily::kLlama3:
      return Llama3Frequencies(config.theta, rotary_dim, config.llama3);
  }
  return {};
}

double AttentionFactorOf(const PositionConfig& config) {
  switch (config.family) {
    case PositionFamily::kYarn:
      return YarnAttentionFactor(config.yarn);
    case PositionFamily::kLongRope:
      return LongRopeAttentionFactor(config.long_rope);
    default:
      return 1;
  }
}

}  // namespace

struct PositionEncoder::Table {
  explicit Table(std::vector<double> frequencies)
      : inv_freq(std::move(frequencies)),
        run_cos(kRun * inv_freq.size()),
        run_sin(kRun * inv_freq.size()) {
    const size_t pairs = inv_freq.size();
    for (int64_t p = 0; p < kRun; ++p) {
      for (size_t j = 0; j < pairs; ++j) {
        CosSin(static_cast<double>(p), inv_freq[j], &run_cos[p * pairs + j],
               &run_sin[p * pairs + j]);
      }
    }
  }

  std::vector<double> inv_freq;
  // Angles of the positions 0..kRun-1. Shapes: [kRun, rotary_dim / 2].
  std::vector<double> run_cos;
  std::vector<double> run_sin;
};

struct PositionEncoder::Family {
  PositionConfig config;
  int rotary_dim;
  double attention_factor;
  std::vector<double> xpos_log_scales;    // [rotary_dim / 2], or empty.
  std::shared_ptr<const Table> original;  // For the length of the training.
  std::shared_ptr<const Table> extended;  // LongRoPE's beyond it, or null.
};

absl::StatusOr<PositionEncoder> PositionEncoder::Create(
    const PositionConfig& config, int key_dim) {
  RETURN_IF_ERROR(Validate(config, key_dim));
  const int width = config.rotary_dim == 0 ? key_dim : config.rotary_dim;
  auto family = std::make_shared<Family>();
  family->config = config;
  family->rotary_dim = Rotates(config.family) ? width : 0;
  family->attention_factor = AttentionFactorOf(config);
  if (config.family == PositionFamily::kXpos) {
    family->xpos_log_scales = XposLogScales(family->rotary_dim);
  }
  family->original = std::make_shared<const Table>(
      FrequenciesFor(config, family->rotary_dim, /*length=*/1));
  if (config.family == PositionFamily::kLongRope) {
    family->extended = std::make_shared<const Table>(
        FrequenciesFor(config, family->rotary_dim, kEndless));
  }
  std::shared_ptr<const Table> table = family->original;
  return PositionEncoder(std::move(family), std::move(table));
}

PositionEncoder::PositionEncoder(std::shared_ptr<const Family> family,
                                 std::shared_ptr<const Table> table)
    : family_(std::move(family)), table_(std::move(table)) {}

bool PositionEncoder::depends_on_length() const {
  return family_->config.family == PositionFamily::kDynamicNtk ||
         family_->config.family == PositionFamily::kLongRope;
}

PositionEncoder PositionEncoder::ForLength(int64_t length) const {
  const PositionConfig& config = family_->config;
  if (config.family == PositionFamily::kLongRope) {
    const bool is_long = length > config.long_rope.original_length;
    return {family_, is_long ? family_->extended : family_->original};
  }
  if (config.family == PositionFamily::kDynamicNtk) {
    if (length <= config.dynamic_ntk.max_position) {
      return {family_, family_->original};
    }
    return {family_, std::make_shared<const Table>(
                         FrequenciesFor(config, family_->rotary_dim, length))};
  }
  return *this;
}

int PositionEncoder::rotary_dim() const { return family_->rotary_dim; }

std::span<const double> PositionEncoder::inv_freq() const {
  return table_->inv_freq;
}

double PositionEncoder::attention_factor() const {
  return family_->attention_factor;
}

void PositionEncoder::Angles(std::span<const int64_t> positions, float* cos,
                             float* sin) const {
  const size_t pairs = table_->inv_freq.size();
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
        CosSin(static_cast<double>(*start), table_->inv_freq[j], &start_cos[j],
               &start_sin[j]);
      }
    }
    AddAngles(start_cos.data(), start_sin.data(),
              table_->run_cos.data() + rest * pairs,
              table_->run_sin.data() + rest * pairs, pairs, cos, sin);
    cos += pairs;
    sin += pairs;
  }
}

bool PositionEncoder::has_magnitude() const {
  return !family_->xpos_log_scales.empty();
}

void PositionEncoder::Magnitudes(std::span<const int64_t> positions,
                                 int64_t center, bool key_side,
                                 float* magnitudes) const {
  const size_t pairs = table_->inv_freq.size();
  if (!has_magnitude()) {
    std::fill_n(magnitudes, positions.size() * pairs, 1.0f);
    return;
  }
  for (const int64_t position : positions) {
    XposMagnitudes(family_->config.xpos, family_->xpos_log_scales,
                   position - center, key_side, magnitudes);
    magnitudes += pairs;
  }
}

void PositionEncoder::Rotate(float* rows, size_t row_count, size_t row_stride,
                             const float* cos, const float* sin,
                             const float* magnitudes) const {
  const size_t pairs = table_->inv_freq.size();
  const auto rotate = family_->config.layout == RotaryLayout::kHalfSplit
                          ? RotateHalfSplit
                          : RotateInterleaved;
  if (magnitudes == nullptr) {
    for (size_t r = 0; r < row_count; ++r) {
      rotate(rows + r * row_stride, cos + r * pairs, sin + r * pairs, pairs);
    }
    return;
  }
  // A rotation is linear: scaling its coefficients scales what it gives.
  std::vector<float> scaled_cos(pairs);
  std::vector<float> scaled_sin(pairs);
  for (size_t r = 0; r < row_count; ++r) {
    for (size_t j = 0; j < pairs; ++j) {
      scaled_cos[j] = cos[r * pairs + j] * magnitudes[r * pairs + j];
      scaled_sin[j] = sin[r * pairs + j] * magnitudes[r * pairs + j];
    }
    rotate(rows + r * row_stride, scaled_cos.data(), scaled_sin.data(), pairs);
  }
}

}  // namespace mneme::attention
