// attention/position.h: how positions enter a query or a key.
// Which position a row is given is the caller's policy; this is the rotation.

#ifndef MNEME_ATTENTION_POSITION_H_
#define MNEME_ATTENTION_POSITION_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attention/rope.h"

namespace mneme::attention {

enum class PositionFamily { kNone, kRope, kYarn };

// Which components form pair j of a rotary width n: (j, j + n/2), as in Llama's
// checkpoints, or (2j, 2j + 1), as in the RoPE paper.
enum class RotaryLayout { kHalfSplit, kInterleaved };

struct PositionConfig {
  PositionFamily family = PositionFamily::kNone;
  RotaryLayout layout = RotaryLayout::kHalfSplit;
  double theta = 10000;
  int rotary_dim = 0;  // Leading components that turn; 0: the whole head.
  YarnConfig yarn = {};

  friend bool operator==(const PositionConfig&,
                         const PositionConfig&) = default;
};

// Whether keys of `key_dim` components can be encoded so; names the field that
// stands in the way ("position.theta"). Fields the family does not read are not
// looked at.
absl::Status Validate(const PositionConfig& config, int key_dim);

// The one encoder of positions that the floors above see.
// Threads:  immutable; any thread may call anything.
class PositionEncoder {
 public:
  // Errors:  what Validate says.
  static absl::StatusOr<PositionEncoder> Create(const PositionConfig& config,
                                                int key_dim);

  // Leading components that turn; 0 without rotation.
  int rotary_dim() const { return 2 * static_cast<int>(inv_freq_.size()); }
  // Radians a position, for each pair. Shapes: [rotary_dim / 2].
  std::span<const double> inv_freq() const { return inv_freq_; }
  // YaRN's m, 1 for the other families. Rotate leaves it out: logits are
  // multiplied by m * m on every tier, rotated or not.
  double attention_factor() const { return attention_factor_; }

  // cos and sin of position * inv_freq, formed in double (error below 1e-12
  // before the rounding to float) whatever the position's size. A position's
  // angles never depend on its neighbours in the call; neighbours within 128
  // positions share their work.
  // Shapes:   cos, sin [positions, rotary_dim / 2].
  // REQUIRES: |position| <= 2^53, beyond which double skips integers.
  void Angles(std::span<const int64_t> positions, float* cos, float* sin) const;

  // Turns each row by its own angles, in place; components from rotary_dim on
  // stay.
  // Shapes:  rows [row_count, row_stride]; cos, sin [row_count,
  //          rotary_dim / 2].
  void Rotate(float* rows, size_t row_count, size_t row_stride,
              const float* cos, const float* sin) const;

 private:
  PositionEncoder(RotaryLayout layout, std::vector<double> inv_freq,
                  double attention_factor);

  RotaryLayout layout_;
  std::vector<double> inv_freq_;
  double attention_factor_;
  // Angles of the positions 0..kRun-1. Shapes: [kRun, rotary_dim / 2].
  std::vector<double> run_cos_;
  std::vector<double> run_sin_;
};

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_POSITION_H_
