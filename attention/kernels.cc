#include "attention/kernels.h"

#include <algorithm>
#include <cstring>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/kernels.cc"
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

constexpr size_t kKeyBlock = 4;
// Accumulators, a block of keys and one query fit the vector registers: 32 of
// them with AVX-512 and on Arm, 16 before.
#if HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3
constexpr size_t kQueryBlock = 2;
#else
constexpr size_t kQueryBlock = 4;
#endif

// The first `count` numbers of `in`, then `fill`; reads no further.
HWY_INLINE V LoadFirst(const float* in, size_t count, float fill = 0.0f) {
  HWY_ALIGN float padded[hn::MaxLanes(D())];
  std::fill_n(padded, hn::MaxLanes(D()), fill);
  std::memcpy(padded, in, count * sizeof(float));
  return hn::Load(D(), padded);
}

HWY_INLINE void StoreFirst(V v, size_t count, float* out) {
  HWY_ALIGN float padded[hn::MaxLanes(D())];
  hn::Store(v, D(), padded);
  std::memcpy(out, padded, count * sizeof(float));
}

// Sums of the lanes of four vectors, in an order that does not depend on what
// the vectors hold.
HWY_INLINE void SumsOfLanes(V a, V b, V c, V d, float* sums) {
#if HWY_TARGET == HWY_SCALAR
  sums[0] = hn::GetLane(a);
  sums[1] = hn::GetLane(b);
  sums[2] = hn::GetLane(c);
  sums[3] = hn::GetLane(d);
#else
  const D df;
  const hn::Repartition<double, D> dd;
  // Transposes within blocks of four lanes, adding on the way.
  const auto ab = hn::BitCast(dd, hn::Add(hn::InterleaveLower(df, a, b),
                                          hn::InterleaveUpper(df, a, b)));
  const auto cd = hn::BitCast(dd, hn::Add(hn::InterleaveLower(df, c, d),
                                          hn::InterleaveUpper(df, c, d)));
  const V abcd = hn::Add(hn::BitCast(df, hn::InterleaveLower(dd, ab, cd)),
                         hn::BitCast(df, hn::InterleaveUpper(dd, ab, cd)));
  HWY_ALIGN float blocks[hn::MaxLanes(D())];
  hn::Store(abcd, df, blocks);
  const hn::Full128<float> block;
  auto sum = hn::Load(block, blocks);
  for (size_t i = 4; i < hn::Lanes(df); i += 4) {
    sum = hn::Add(sum, hn::Load(block, blocks + i));
  }
  hn::StoreU(sum, block, sums);
#endif
}

// kQueries rows by kKeyBlock rows; `sums` is [kQueries, kKeyBlock].
template <size_t kQueries>
HWY_INLINE void DotBlock(const float* queries, const float* const* keys,
                         size_t dim, float* sums) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  const float* const k0 = keys[0];
  const float* const k1 = keys[1];
  const float* const k2 = keys[2];
  const float* const k3 = keys[3];
  V a0[kQueries], a1[kQueries], a2[kQueries], a3[kQueries];
  for (size_t q = 0; q < kQueries; ++q) {
    a0[q] = a1[q] = a2[q] = a3[q] = hn::Zero(d);
  }
  size_t i = 0;
  for (; i + lanes <= dim; i += lanes) {
    const V v0 = hn::LoadU(d, k0 + i);
    const V v1 = hn::LoadU(d, k1 + i);
    const V v2 = hn::LoadU(d, k2 + i);
    const V v3 = hn::LoadU(d, k3 + i);
    for (size_t q = 0; q < kQueries; ++q) {
      const V x = hn::LoadU(d, queries + q * dim + i);
      a0[q] = hn::MulAdd(x, v0, a0[q]);
      a1[q] = hn::MulAdd(x, v1, a1[q]);
      a2[q] = hn::MulAdd(x, v2, a2[q]);
      a3[q] = hn::MulAdd(x, v3, a3[q]);
    }
  }
  if (i < dim) {
    const size_t rest = dim - i;
    const V v0 = LoadFirst(k0 + i, rest);
    const V v1 = LoadFirst(k1 + i, rest);
    const V v2 = LoadFirst(k2 + i, rest);
    const V v3 = LoadFirst(k3 + i, rest);
    for (size_t q = 0; q < kQueries; ++q) {
      const V x = LoadFirst(queries + q * dim + i, rest);
      a0[q] = hn::MulAdd(x, v0, a0[q]);
      a1[q] = hn::MulAdd(x, v1, a1[q]);
      a2[q] = hn::MulAdd(x, v2, a2[q]);
      a3[q] = hn::MulAdd(x, v3, a3[q]);
    }
  }
  for (size_t q = 0; q < kQueries; ++q) {
    SumsOfLanes(a0[q], a1[q], a2[q], a3[q], sums + q * kKeyBlock);
  }
}

void Dot(const float* queries, size_t query_count, const float* keys,
         size_t key_count, size_t dim, float* logits) {
  float sums[kQueryBlock * kKeyBlock];
  for (size_t k = 0; k < key_count; k += kKeyBlock) {
    // A last block that is not full repeats its last key.
    const size_t block = std::min(kKeyBlock, key_count - k);
    const float* rows[kKeyBlock];
    for (size_t j = 0; j < kKeyBlock; ++j) {
      rows[j] = keys + (k + std::min(j, block - 1)) * dim;
    }
    for (size_t q = 0; q < query_count;) {
      const float* query = queries + q * dim;
      const size_t done = query_count - q >= kQueryBlock ? kQueryBlock : 1;
      if (done == 1) {
        DotBlock<1>(query, rows, dim, sums);
      } else {
        DotBlock<kQueryBlock>(query, rows, dim, sums);
      }
      for (size_t r = 0; r < done; ++r) {
        std::memcpy(logits + (q + r) * key_count + k, sums + r * kKeyBlock,
                    block * sizeof(float));
      }
      q += done;
    }
  }
}

float Max(const float* in, size_t count) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  const float least = -std::numeric_limits<float>::infinity();
  V largest = hn::Set(d, least);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    largest = hn::Max(largest, hn::LoadU(d, in + i));
  }
  if (i < count) {
    largest = hn::Max(largest, LoadFirst(in + i, count - i, least));
  }
  // Highway's emulated MaxOfLanes never goes below the lowest finite float.
  HWY_ALIGN float each[hn::MaxLanes(D())];
  hn::Store(largest, d, each);
  return *std::max_element(each, each + lanes);
}

float Exp(const float* logits, size_t count, float shift, float* weights) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  const V shifts = hn::Set(d, shift);
  V sum = hn::Zero(d);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const V w = hn::Exp(d, hn::Sub(hn::LoadU(d, logits + i), shifts));
    sum = hn::Add(sum, w);
    hn::StoreU(w, d, weights + i);
  }
  if (i < count) {
    const float none = -std::numeric_limits<float>::infinity();
    const V w =
        hn::Exp(d, hn::Sub(LoadFirst(logits + i, count - i, none), shifts));
    sum = hn::Add(sum, w);
    StoreFirst(w, count - i, weights + i);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

HWY_INLINE V PhiOf(V x) {
  const D d;
  const V zero = hn::Zero(d);
  return hn::IfThenElse(hn::Gt(x, zero), hn::Add(x, hn::Set(d, 1.0f)),
                        hn::Exp(d, hn::Min(x, zero)));
}

void Phi(const float* in, size_t count, float* out) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(PhiOf(hn::LoadU(d, in + i)), d, out + i);
  }
  if (i < count) {
    StoreFirst(PhiOf(LoadFirst(in + i, count - i)), count - i, out + i);
  }
}

// A panel of kVectors vectors of one output.
template <size_t kVectors>
HWY_INLINE void WeightedPanel(const float* weights, const float* rows,
                              size_t row_count, size_t dim, float* out) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  V sum[kVectors];
  for (size_t v = 0; v < kVectors; ++v) sum[v] = hn::Zero(d);
  for (size_t r = 0; r < row_count; ++r) {
    if (weights[r] == 0) continue;
    const V w = hn::Set(d, weights[r]);
    const float* row = rows + r * dim;
    for (size_t v = 0; v < kVectors; ++v) {
      sum[v] = hn::MulAdd(w, hn::LoadU(d, row + v * lanes), sum[v]);
    }
  }
  for (size_t v = 0; v < kVectors; ++v) {
    float* o = out + v * lanes;
    hn::StoreU(hn::Add(hn::LoadU(d, o), sum[v]), d, o);
  }
}

// Fewer than a vector of one output.
HWY_INLINE void WeightedRest(const float* weights, size_t row_step,
                             const float* rows, size_t row_count, size_t dim,
                             size_t rest, float* out) {
  const D d;
  V sum = hn::Zero(d);
  for (size_t r = 0; r < row_count; ++r) {
    const float weight = weights[r * row_step];
    if (weight == 0) continue;
    sum = hn::MulAdd(hn::Set(d, weight), LoadFirst(rows + r * dim, rest), sum);
  }
  StoreFirst(hn::Add(LoadFirst(out, rest), sum), rest, out);
}

void Weighted(const float* weights, const float* rows, size_t row_count,
              size_t dim, float* out) {
  const size_t lanes = hn::Lanes(D());
  size_t i = 0;
  for (; i + 8 * lanes <= dim; i += 8 * lanes) {
    WeightedPanel<8>(weights, rows + i, row_count, dim, out + i);
  }
  for (; i + lanes <= dim; i += lanes) {
    WeightedPanel<1>(weights, rows + i, row_count, dim, out + i);
  }
  if (i < dim) {
    WeightedRest(weights, 1, rows + i, row_count, dim, dim - i, out + i);
  }
}

// A panel of kVectors vectors of kOutputs outputs.
template <size_t kOutputs, size_t kVectors>
HWY_INLINE void WeightedPanels(const float* weights, size_t output_step,
                               size_t row_step, const float* rows,
                               size_t row_count, size_t dim, float* out) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  V sum[kOutputs][kVectors];
  for (size_t o = 0; o < kOutputs; ++o) {
    for (size_t v = 0; v < kVectors; ++v) sum[o][v] = hn::Zero(d);
  }
  for (size_t r = 0; r < row_count; ++r) {
    V row[kVectors];
    for (size_t v = 0; v < kVectors; ++v) {
      row[v] = hn::LoadU(d, rows + r * dim + v * lanes);
    }
    for (size_t o = 0; o < kOutputs; ++o) {
      const V w = hn::Set(d, weights[o * output_step + r * row_step]);
      for (size_t v = 0; v < kVectors; ++v) {
        sum[o][v] = hn::MulAdd(w, row[v], sum[o][v]);
      }
    }
  }
  for (size_t o = 0; o < kOutputs; ++o) {
    for (size_t v = 0; v < kVectors; ++v) {
      float* p = out + o * dim + v * lanes;
      hn::StoreU(hn::Add(hn::LoadU(d, p), sum[o][v]), d, p);
    }
  }
}

template <size_t kOutputs>
HWY_INLINE void WeightedOutputs(const float* weights, size_t output_step,
                                size_t row_step, const float* rows,
                                size_t row_count, size_t dim, float* out) {
  const size_t lanes = hn::Lanes(D());
  size_t i = 0;
  for (; i + 2 * lanes <= dim; i += 2 * lanes) {
    WeightedPanels<kOutputs, 2>(weights, output_step, row_step, rows + i,
                                row_count, dim, out + i);
  }
  for (; i + lanes <= dim; i += lanes) {
    WeightedPanels<kOutputs, 1>(weights, output_step, row_step, rows + i,
                                row_count, dim, out + i);
  }
  if (i == dim) return;
  for (size_t o = 0; o < kOutputs; ++o) {
    WeightedRest(weights + o * output_step, row_step, rows + i, row_count, dim,
                 dim - i, out + o * dim + i);
  }
}

void WeightedEach(const float* weights, size_t output_step, size_t row_step,
                  const float* rows, size_t row_count, size_t dim, float* out,
                  size_t output_count) {
  size_t o = 0;
  for (; o + 4 <= output_count; o += 4) {
    WeightedOutputs<4>(weights + o * output_step, output_step, row_step, rows,
                       row_count, dim, out + o * dim);
  }
  for (; o < output_count; ++o) {
    WeightedOutputs<1>(weights + o * output_step, output_step, row_step, rows,
                       row_count, dim, out + o * dim);
  }
}

void ToDouble(const float* in, size_t count, double* out) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> df;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto wide = hn::PromoteTo(d, hn::LoadU(df, in + i));
    hn::StoreU(hn::Add(hn::LoadU(d, out + i), wide), d, out + i);
  }
  for (; i < count; ++i) out[i] += in[i];
}

const char* Target() { return hwy::TargetName(HWY_TARGET); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace mneme::attention
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mneme::attention {
namespace {

HWY_EXPORT(Dot);
HWY_EXPORT(Max);
HWY_EXPORT(Exp);
HWY_EXPORT(Phi);
HWY_EXPORT(Weighted);
HWY_EXPORT(WeightedEach);
HWY_EXPORT(ToDouble);
HWY_EXPORT(Target);

}  // namespace

void DotRows(const float* queries, size_t query_count, const float* keys,
             size_t key_count, size_t dim, float* logits) {
  HWY_DYNAMIC_DISPATCH(Dot)(queries, query_count, keys, key_count, dim, logits);
}

float Maximum(const float* in, size_t count) {
  return HWY_DYNAMIC_DISPATCH(Max)(in, count);
}

float Exponentials(const float* logits, size_t count, float shift,
                   float* weights) {
  return HWY_DYNAMIC_DISPATCH(Exp)(logits, count, shift, weights);
}

void EluPlusOne(const float* in, size_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(Phi)(in, count, out);
}

void AddWeightedRows(const float* weights, const float* rows, size_t row_count,
                     size_t dim, float* out) {
  HWY_DYNAMIC_DISPATCH(Weighted)(weights, rows, row_count, dim, out);
}

void AddWeightedRowsEach(const float* weights, size_t output_step,
                         size_t row_step, const float* rows, size_t row_count,
                         size_t dim, float* out, size_t output_count) {
  HWY_DYNAMIC_DISPATCH(WeightedEach)
  (weights, output_step, row_step, rows, row_count, dim, out, output_count);
}

std::string_view KernelTarget() { return HWY_DYNAMIC_DISPATCH(Target)(); }

void AddToDouble(const float* in, size_t count, double* out) {
  HWY_DYNAMIC_DISPATCH(ToDouble)(in, count, out);
}

}  // namespace mneme::attention
#endif  // HWY_ONCE
