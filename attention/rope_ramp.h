// attention/rope_ramp.h: the ramp between pairs that are kept and pairs that
// are interpolated.

#ifndef MNEME_ATTENTION_ROPE_RAMP_H_
#define MNEME_ATTENTION_ROPE_RAMP_H_

#include <vector>

namespace mneme::attention {

struct RampTurns {
  double length;  // Positions the model was trained on.
  double fast;    // Turns within them.
  double slow;
  bool truncate;  // Whole pairs end the ramp.
};

// Weights that fall from 1 at the pair that turns `fast` times to 0 at the one
// that turns `slow` times, linearly in the index.
// Shapes:  [rotary_dim / 2].
std::vector<double> RopeRamp(double theta, int rotary_dim,
                             const RampTurns& turns);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_ROPE_RAMP_H_
