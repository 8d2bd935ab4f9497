// attention/rotate.h: kernels that turn pairs of components by angles.

#ifndef MNEME_ATTENTION_ROTATE_H_
#define MNEME_ATTENTION_ROTATE_H_

#include <cstddef>

namespace mneme::attention {

// (x, y) -> (x cos - y sin, x sin + y cos) for the pairs (j, j + pairs), in
// place.
// Shapes:  row [2 * pairs]; cos, sin [pairs].
void RotateHalfSplit(float* row, const float* cos, const float* sin,
                     size_t pairs);

// The same for the pairs (2j, 2j + 1).
void RotateInterleaved(float* row, const float* cos, const float* sin,
                       size_t pairs);

// cos and sin of a sum of angles from those of the summands.
// Shapes:  all [count].
void AddAngles(const double* cos_a, const double* sin_a, const double* cos_b,
               const double* sin_b, size_t count, float* cos, float* sin);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_ROTATE_H_
