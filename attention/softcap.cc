#include "attention/softcap.h"

#include <cstring>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/softcap.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After highway.h, which it needs.
#include "hwy/contrib/math/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mneme::attention {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

HWY_INLINE V Capped(V logits, V cap) {
  const D d;
  const V masked = hn::Set(d, -std::numeric_limits<float>::infinity());
  return hn::IfThenElse(hn::Eq(logits, masked), masked,
                        hn::Mul(cap, hn::Tanh(d, hn::Div(logits, cap))));
}

void Cap(float cap, float* logits, size_t count) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  const V caps = hn::Set(d, cap);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(Capped(hn::LoadU(d, logits + i), caps), d, logits + i);
  }
  if (i == count) return;
  HWY_ALIGN float rest[hn::MaxLanes(D())] = {};
  std::memcpy(rest, logits + i, (count - i) * sizeof(float));
  hn::Store(Capped(hn::Load(d, rest), caps), d, rest);
  std::memcpy(logits + i, rest, (count - i) * sizeof(float));
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace mneme::attention
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mneme::attention {
namespace {

HWY_EXPORT(Cap);

}  // namespace

void SoftCap(float cap, float* logits, size_t count) {
  HWY_DYNAMIC_DISPATCH(Cap)(cap, logits, count);
}

}  // namespace mneme::attention
#endif  // HWY_ONCE
