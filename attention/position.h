// attention/position.h: how positions enter a query or a key.
// Which position a row is given is the caller's policy; this is the rotation.

#ifndef MNEME_ATTENTION_POSITION_H_
#define MNEME_ATTENTION_POSITION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "attention/position_config.h"

namespace mneme::attention {

// The one encoder of positions that the floors above see.
// Threads:  immutable; any thread may call anything.
// Lifetime: copies share their tables, and cost two pointers.
class PositionEncoder {
 public:
  // Of a family that depends on the length: the encoder of short sequences.
  // Errors:  what Validate says.
  static absl::StatusOr<PositionEncoder> Create(const PositionConfig& config,
                                                int key_dim);

  // Whether frequencies change with the length of the sequence (dynamic NTK,
  // LongRoPE). Keys rotated for one length are then wrong at another: rotate at
  // read, every key of a sequence by the encoder for its length.
  bool depends_on_length() const;
  // The encoder for a sequence of `length` tokens, max(position) + 1; of the
  // other families a copy. Dynamic NTK computes a table for every length beyond
  // max_position (below a millisecond): keep it while the length stays.
  PositionEncoder ForLength(int64_t length) const;

  // Leading components that turn; 0 without rotation.
  int rotary_dim() const;
  // Radians a position, for each pair. Shapes: [rotary_dim / 2].
  std::span<const double> inv_freq() const;
  // The m of YaRN and LongRoPE, 1 for the other families. Rotate leaves it out:
  // logits are multiplied by m * m on every tier, rotated or not.
  double attention_factor() const;

  // cos and sin of position * inv_freq, formed in double (error below 1e-12
  // before the rounding to float) whatever the position's size. A position's
  // angles never depend on its neighbours in the call; neighbours within 128
  // positions share their work.
  // Shapes:   cos, sin [positions, rotary_dim / 2].
  // REQUIRES: |position| <= 2^53, beyond which double skips integers.
  void Angles(std::span<const int64_t> positions, float* cos, float* sin) const;

  // Whether a rotation is also scaled by position (xPos).
  bool has_magnitude() const;
  // What each pair at each position is multiplied by when it is rotated; 1 for
  // the other families. Queries and keys that meet in a logit need one centre,
  // which XposSafeSpan in attention/xpos.h says how to choose.
  // Shapes:   magnitudes [positions, rotary_dim / 2].
  // REQUIRES: as Angles, and |center| <= 2^53.
  void Magnitudes(std::span<const int64_t> positions, int64_t center,
                  bool key_side, float* magnitudes) const;

  // Turns each row by its own angles, in place; components from rotary_dim on
  // stay. With `magnitudes`, scales the pairs by them as well.
  // Shapes:  rows [row_count, row_stride]; cos, sin, magnitudes [row_count,
  //          rotary_dim / 2].
  void Rotate(float* rows, size_t row_count, size_t row_stride,
              const float* cos, const float* sin,
              const float* magnitudes = nullptr) const;

 private:
  struct Family;  // What the configuration says, for every length.
  struct Table;   // Frequencies for one length.

  PositionEncoder(std::shared_ptr<const Family> family,
                  std::shared_ptr<const Table> table);

  std::shared_ptr<const Family> family_;
  std::shared_ptr<const Table> table_;
};

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_POSITION_H_
