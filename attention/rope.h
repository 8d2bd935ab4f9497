// attention/rope.h: the frequencies of rotary positions.
// A family that scales them is a file beside this one, one value of
// PositionFamily, one test.

#ifndef MNEME_ATTENTION_ROPE_H_
#define MNEME_ATTENTION_ROPE_H_

#include <vector>

namespace mneme::attention {

// Every table is [rotary_dim / 2], radians a position for each pair.
// REQUIRES, of each: what Validate(PositionConfig) accepts.

// RoPE: pair j of a rotary width n turns by b_j = theta^(-2j/n) a position
// (Su et al., arXiv 2104.09864, eq. 15).
// REQUIRES: rotary_dim is even; theta > 0.
std::vector<double> RopeFrequencies(double theta, int rotary_dim);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_ROPE_H_
