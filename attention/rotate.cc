#include "attention/rotate.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/rotate.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace mneme::attention {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

void HalfSplit(float* row, const float* cos, const float* sin, size_t pairs) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  size_t j = 0;
  for (; j + lanes <= pairs; j += lanes) {
    const auto x = hn::LoadU(d, row + j);
    const auto y = hn::LoadU(d, row + pairs + j);
    const auto c = hn::LoadU(d, cos + j);
    const auto s = hn::LoadU(d, sin + j);
    hn::StoreU(hn::NegMulAdd(y, s, hn::Mul(x, c)), d, row + j);
    hn::StoreU(hn::MulAdd(x, s, hn::Mul(y, c)), d, row + pairs + j);
  }
  for (; j < pairs; ++j) {
    const float x = row[j];
    const float y = row[pairs + j];
    row[j] = x * cos[j] - y * sin[j];
    row[pairs + j] = x * sin[j] + y * cos[j];
  }
}

void Interleaved(float* row, const float* cos, const float* sin, size_t pairs) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  size_t j = 0;
  for (; j + lanes <= pairs; j += lanes) {
    hn::Vec<decltype(d)> x, y;
    hn::LoadInterleaved2(d, row + 2 * j, x, y);
    const auto c = hn::LoadU(d, cos + j);
    const auto s = hn::LoadU(d, sin + j);
    hn::StoreInterleaved2(hn::NegMulAdd(y, s, hn::Mul(x, c)),
                          hn::MulAdd(x, s, hn::Mul(y, c)), d, row + 2 * j);
  }
  for (; j < pairs; ++j) {
    const float x = row[2 * j];
    const float y = row[2 * j + 1];
    row[2 * j] = x * cos[j] - y * sin[j];
    row[2 * j + 1] = x * sin[j] + y * cos[j];
  }
}

void SumOfAngles(const double* cos_a, const double* sin_a, const double* cos_b,
                 const double* sin_b, size_t count, float* cos, float* sin) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> df;
  const size_t lanes = hn::Lanes(d);
  size_t j = 0;
  for (; j + lanes <= count; j += lanes) {
    const auto ca = hn::LoadU(d, cos_a + j);
    const auto sa = hn::LoadU(d, sin_a + j);
    const auto cb = hn::LoadU(d, cos_b + j);
    const auto sb = hn::LoadU(d, sin_b + j);
    const auto c = hn::NegMulAdd(sa, sb, hn::Mul(ca, cb));
    const auto s = hn::MulAdd(sa, cb, hn::Mul(ca, sb));
    hn::StoreU(hn::DemoteTo(df, c), df, cos + j);
    hn::StoreU(hn::DemoteTo(df, s), df, sin + j);
  }
  for (; j < count; ++j) {
    cos[j] = static_cast<float>(cos_a[j] * cos_b[j] - sin_a[j] * sin_b[j]);
    sin[j] = static_cast<float>(sin_a[j] * cos_b[j] + cos_a[j] * sin_b[j]);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace mneme::attention
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mneme::attention {
namespace {

HWY_EXPORT(HalfSplit);
HWY_EXPORT(Interleaved);
HWY_EXPORT(SumOfAngles);

}  // namespace

void RotateHalfSplit(float* row, const float* cos, const float* sin,
                     size_t pairs) {
  HWY_DYNAMIC_DISPATCH(HalfSplit)(row, cos, sin, pairs);
}

void RotateInterleaved(float* row, const float* cos, const float* sin,
                       size_t pairs) {
  HWY_DYNAMIC_DISPATCH(Interleaved)(row, cos, sin, pairs);
}

void AddAngles(const double* cos_a, const double* sin_a, const double* cos_b,
               const double* sin_b, size_t count, float* cos, float* sin) {
  HWY_DYNAMIC_DISPATCH(SumOfAngles)
  (cos_a, sin_a, cos_b, sin_b, count, cos, sin);
}

}  // namespace mneme::attention
#endif  // HWY_ONCE
