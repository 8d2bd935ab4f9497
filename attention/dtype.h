// attention/dtype.h: how a stored number is written, and the way to float and
// back.

#ifndef MNEME_ATTENTION_DTYPE_H_
#define MNEME_ATTENTION_DTYPE_H_

#include <cstddef>
#include <string_view>

namespace mneme::attention {

enum class DType { kF32, kF16, kBF16 };

// Bytes of one element.
size_t SizeOf(DType dtype);

// "float32", "float16" or "bfloat16".
std::string_view NameOf(DType dtype);

// Widens `count` elements; exact, the same bits on every processor (a NaN
// stays a NaN).
// Shapes:   in [count * SizeOf(dtype)] bytes, of any alignment; out [count].
// Threads:  a pure function.
void ToFloat(DType dtype, const std::byte* in, size_t count, float* out);

// Narrows `count` elements, to nearest, ties to even. What is too large for
// the type becomes infinity; a NaN stays a NaN.
// Shapes:   in [count]; out [count * SizeOf(dtype)] bytes, of any alignment.
// Threads:  a pure function.
void FromFloat(DType dtype, const float* in, size_t count, std::byte* out);

// True when no element is NaN or infinite.
// Shapes:   in [count * SizeOf(dtype)] bytes, of any alignment.
// Threads:  a pure function.
bool AllFinite(DType dtype, const std::byte* in, size_t count);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_DTYPE_H_
