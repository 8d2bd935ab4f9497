#include "attention/dtype.h"

#include <cstdint>
#include <cstring>

#include "base/check.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/dtype.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

// Highway's own float16 conversions truncate, and know neither infinity nor
// NaN, on processors without F16C, and its bfloat16 one truncates everywhere.
// These round to nearest even on all.
HWY_BEFORE_NAMESPACE();
namespace mneme::attention {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using DF = hn::ScalableTag<float>;
using DU = hn::RebindToUnsigned<DF>;
using DHalf = hn::Rebind<uint16_t, DU>;
using VU = hn::Vec<DU>;

constexpr uint32_t kMagnitude = 0x7fffffff;
constexpr uint32_t kFloatInfinity = 0x7f800000;

struct Float16 {
  static HWY_INLINE VU Widen(VU half) {
    const DU du;
    const DF df;
    const VU sign = hn::ShiftLeft<16>(hn::And(half, hn::Set(du, 0x8000)));
    const VU magnitude = hn::ShiftLeft<13>(hn::And(half, hn::Set(du, 0x7fff)));
    // The exponent's bias grows from 15 to 127; infinity and NaN to 255.
    const VU normal = hn::Add(magnitude, hn::Set(du, 112u << 23));
    const VU special = hn::Add(normal, hn::Set(du, 112u << 23));
    // A subnormal m * 2^-24 is (2^-14 + m * 2^-24) - 2^-14.
    const VU subnormal = hn::BitCast(
        du, hn::Sub(hn::BitCast(df, hn::Add(normal, hn::Set(du, 1u << 23))),
                    hn::BitCast(df, hn::Set(du, 113u << 23))));
    const auto is_small = hn::Lt(magnitude, hn::Set(du, 1u << 23));
    const auto is_special = hn::Gt(magnitude, hn::Set(du, (31u << 23) - 1));
    return hn::Or(sign,
                  hn::IfThenElse(is_special, special,
                                 hn::IfThenElse(is_small, subnormal, normal)));
  }

  static HWY_INLINE VU Narrow(VU bits) {
    const DU du;
    const DF df;
    const VU magnitude = hn::And(bits, hn::Set(du, kMagnitude));
    const VU sign =
        hn::ShiftRight<16>(hn::AndNot(hn::Set(du, kMagnitude), bits));
    // Adding 0.5 leaves m * 2^-24, rounded to even, in the lowest bits.
    const VU half = hn::Set(du, 126u << 23);
    const VU subnormal = hn::Sub(
        hn::BitCast(du,
                    hn::Add(hn::BitCast(df, magnitude), hn::BitCast(df, half))),
        half);
    const VU odd =
        hn::And(hn::ShiftRight<13>(magnitude), hn::Set(du, uint32_t{1}));
    const VU normal =
        hn::ShiftRight<13>(hn::Add(hn::Sub(magnitude, hn::Set(du, 112u << 23)),
                                   hn::Add(odd, hn::Set(du, 0xfff))));
    const VU special =
        hn::IfThenElse(hn::Gt(magnitude, hn::Set(du, kFloatInfinity)),
                       hn::Set(du, 0x7e00), hn::Set(du, 0x7c00));
    const auto is_small = hn::Lt(magnitude, hn::Set(du, 113u << 23));
    const auto is_large = hn::Gt(magnitude, hn::Set(du, (143u << 23) - 1));
    return hn::Or(sign,
                  hn::IfThenElse(is_large, special,
                                 hn::IfThenElse(is_small, subnormal, normal)));
  }
};

struct BFloat16 {
  static HWY_INLINE VU Widen(VU half) { return hn::ShiftLeft<16>(half); }

  static HWY_INLINE VU Narrow(VU bits) {
    const DU du;
    const VU high = hn::ShiftRight<16>(bits);
    const VU odd = hn::And(high, hn::Set(du, uint32_t{1}));
    const VU rounded =
        hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7fff))));
    const auto is_nan = hn::Gt(hn::And(bits, hn::Set(du, kMagnitude)),
                               hn::Set(du, kFloatInfinity));
    return hn::IfThenElse(is_nan, hn::Or(high, hn::Set(du, 0x40)), rounded);
  }
};

template <class Format>
HWY_INLINE void WidenVector(const uint16_t* in, float* out) {
  const VU wide = hn::PromoteTo(DU(), hn::LoadU(DHalf(), in));
  hn::StoreU(hn::BitCast(DF(), Format::Widen(wide)), DF(), out);
}

template <class Format>
HWY_INLINE void NarrowVector(const float* in, uint16_t* out) {
  const VU bits = Format::Narrow(hn::BitCast(DU(), hn::LoadU(DF(), in)));
  // The value fits 16 bits, so the signed saturation never acts.
  const hn::RebindToSigned<DU> di;
  hn::StoreU(hn::DemoteTo(DHalf(), hn::BitCast(di, bits)), DHalf(), out);
}

template <class Format>
void Widen(const std::byte* in, size_t count, float* out) {
  const size_t lanes = hn::Lanes(DF());
  const uint16_t* source = reinterpret_cast<const uint16_t*>(in);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    WidenVector<Format>(source + i, out + i);
  }
  if (i == count) return;
  uint16_t last_in[hn::MaxLanes(DF())] = {};
  float last_out[hn::MaxLanes(DF())];
  std::memcpy(last_in, source + i, (count - i) * sizeof(uint16_t));
  WidenVector<Format>(last_in, last_out);
  std::memcpy(out + i, last_out, (count - i) * sizeof(float));
}

template <class Format>
void Narrow(const float* in, size_t count, std::byte* out) {
  const size_t lanes = hn::Lanes(DF());
  uint16_t* target = reinterpret_cast<uint16_t*>(out);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    NarrowVector<Format>(in + i, target + i);
  }
  if (i == count) return;
  float last_in[hn::MaxLanes(DF())] = {};
  uint16_t last_out[hn::MaxLanes(DF())];
  std::memcpy(last_in, in + i, (count - i) * sizeof(float));
  NarrowVector<Format>(last_in, last_out);
  std::memcpy(target + i, last_out, (count - i) * sizeof(uint16_t));
}

// True when no element has all bits of `exponent` set.
template <typename T>
bool NoneHasExponent(const std::byte* in, size_t count, T exponent) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  const T* source = reinterpret_cast<const T*>(in);
  const auto wanted = hn::Set(d, exponent);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto bits = hn::And(hn::LoadU(d, source + i), wanted);
    if (!hn::AllFalse(d, hn::Eq(bits, wanted))) return false;
  }
  for (; i < count; ++i) {
    T bits;
    std::memcpy(&bits, in + i * sizeof(T), sizeof(T));
    if ((bits & exponent) == exponent) return false;
  }
  return true;
}

void WidenF16(const std::byte* in, size_t count, float* out) {
  Widen<Float16>(in, count, out);
}
void WidenBF16(const std::byte* in, size_t count, float* out) {
  Widen<BFloat16>(in, count, out);
}
void NarrowF16(const float* in, size_t count, std::byte* out) {
  Narrow<Float16>(in, count, out);
}
void NarrowBF16(const float* in, size_t count, std::byte* out) {
  Narrow<BFloat16>(in, count, out);
}
bool FiniteF32(const std::byte* in, size_t count) {
  return NoneHasExponent<uint32_t>(in, count, kFloatInfinity);
}
bool FiniteF16(const std::byte* in, size_t count) {
  return NoneHasExponent<uint16_t>(in, count, 0x7c00);
}
bool FiniteBF16(const std::byte* in, size_t count) {
  return NoneHasExponent<uint16_t>(in, count, 0x7f80);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace mneme::attention
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mneme::attention {
namespace {

HWY_EXPORT(WidenF16);
HWY_EXPORT(WidenBF16);
HWY_EXPORT(NarrowF16);
HWY_EXPORT(NarrowBF16);
HWY_EXPORT(FiniteF32);
HWY_EXPORT(FiniteF16);
HWY_EXPORT(FiniteBF16);

}  // namespace

size_t SizeOf(DType dtype) { return dtype == DType::kF32 ? 4 : 2; }

std::string_view NameOf(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "float32";
    case DType::kF16:
      return "float16";
    case DType::kBF16:
      return "bfloat16";
  }
  CHECK(false);
}

void ToFloat(DType dtype, const std::byte* in, size_t count, float* out) {
  if (count == 0) return;
  switch (dtype) {
    case DType::kF32:
      std::memcpy(out, in, count * sizeof(float));
      return;
    case DType::kF16:
      HWY_DYNAMIC_DISPATCH(WidenF16)(in, count, out);
      return;
    case DType::kBF16:
      HWY_DYNAMIC_DISPATCH(WidenBF16)(in, count, out);
      return;
  }
}

void FromFloat(DType dtype, const float* in, size_t count, std::byte* out) {
  if (count == 0) return;
  switch (dtype) {
    case DType::kF32:
      std::memcpy(out, in, count * sizeof(float));
      return;
    case DType::kF16:
      HWY_DYNAMIC_DISPATCH(NarrowF16)(in, count, out);
      return;
    case DType::kBF16:
      HWY_DYNAMIC_DISPATCH(NarrowBF16)(in, count, out);
      return;
  }
}

bool AllFinite(DType dtype, const std::byte* in, size_t count) {
  switch (dtype) {
    case DType::kF32:
      return HWY_DYNAMIC_DISPATCH(FiniteF32)(in, count);
    case DType::kF16:
      return HWY_DYNAMIC_DISPATCH(FiniteF16)(in, count);
    case DType::kBF16:
      return HWY_DYNAMIC_DISPATCH(FiniteBF16)(in, count);
  }
  CHECK(false);
}

}  // namespace mneme::attention
#endif  // HWY_ONCE
