#include "attention/patterns.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "attention/row_attention.h"
#include "base/check.h"

namespace mneme::attention {
namespace {

const float* Query(const HeadRows& head, size_t i) {
  return head.queries + i * head.key_dim;
}
const float* Key(const HeadRows& head, size_t i) {
  return head.keys + i * head.key_dim;
}
const float* Value(const HeadRows& head, size_t i) {
  return head.values + i * head.value_dim;
}

// Query i sees keys first(i)..i.
template <typename First>
void AttendFrom(const HeadRows& head, const First& first, float* out,
                float* lse) {
  for (size_t i = 0; i < head.tokens; ++i) {
    const size_t begin = first(i);
    RowAttention row(1, head.key_dim, head.value_dim, head.scale);
    row.Add(0, Query(head, i), Key(head, begin), Value(head, begin),
            i + 1 - begin);
    row.Finish(out + i * head.value_dim, lse + i);
  }
}

// A copy of `rows` [positions, dim], turned to `positions`.
std::vector<float> Turned(const PositionEncoder& encoder, const float* rows,
                          size_t dim, std::span<const int64_t> positions) {
  std::vector<float> turned(rows, rows + positions.size() * dim);
  std::vector<float> cos(positions.size() * encoder.rotary_dim() / 2);
  std::vector<float> sin(cos.size());
  encoder.Angles(positions, cos.data(), sin.data());
  encoder.Rotate(turned.data(), positions.size(), dim, cos.data(), sin.data());
  return turned;
}

// The rows of one branch's segment that attend to each other, side by side.
struct Gathered {
  std::vector<float> keys;
  std::vector<float> values;
};

void Gather(const HeadRows& head, size_t first, size_t end, size_t step,
            Gathered& rows) {
  rows.keys.clear();
  rows.values.clear();
  for (size_t i = first; i < end; i += step) {
    rows.keys.insert(rows.keys.end(), Key(head, i), Key(head, i + 1));
    rows.values.insert(rows.values.end(), Value(head, i), Value(head, i + 1));
  }
}

}  // namespace

void SlidingWindow(const HeadRows& head, size_t window, float* out,
                   float* lse) {
  CHECK(window > 0);
  AttendFrom(
      head, [=](size_t i) { return i + 1 - std::min(i + 1, window); }, out,
      lse);
}

void LambdaAttention(const HeadRows& head, const Lambda& lambda,
                     const PositionEncoder& positions, float* out, float* lse) {
  CHECK(lambda.window > 0);
  std::vector<int64_t> at(head.tokens);
  std::iota(at.begin(), at.end(), 0);
  const std::vector<float> keys =
      Turned(positions, head.keys, head.key_dim, at);
  const std::vector<float> queries =
      Turned(positions, head.queries, head.key_dim, at);
  // The ceiling: a query there, by unrotated keys.
  std::fill(at.begin(), at.end(), lambda.distance);
  const std::vector<float> far_queries =
      Turned(positions, head.queries, head.key_dim, at);
  for (size_t i = 0; i < head.tokens; ++i) {
    const size_t begin = i + 1 - std::min(i + 1, lambda.window);
    RowAttention row(1, head.key_dim, head.value_dim, head.scale);
    row.Add(0, far_queries.data() + i * head.key_dim, head.keys, head.values,
            std::min(begin, lambda.global));
    row.Add(0, queries.data() + i * head.key_dim,
            keys.data() + begin * head.key_dim, Value(head, begin),
            i + 1 - begin);
    row.Finish(out + i * head.value_dim, lse + i);
  }
}

void DilatedAttention(const HeadRows& head, size_t head_index, size_t heads,
                      std::span<const Dilation> branches, float* out,
                      float* lse) {
  CHECK(head_index < heads);
  RowAttention rows(head.tokens, head.key_dim, head.value_dim, head.scale);
  Gathered gathered;
  for (const Dilation& branch : branches) {
    CHECK(branch.segment > 0 && branch.ratio > 0);
    const size_t heads_an_offset = (heads + branch.ratio - 1) / branch.ratio;
    const size_t offset = head_index / heads_an_offset % branch.ratio;
    for (size_t s = 0; s < head.tokens; s += branch.segment) {
      const size_t end = std::min(head.tokens, s + branch.segment);
      Gather(head, s + offset, end, branch.ratio, gathered);
      size_t seen = 0;
      for (size_t i = s + offset; i < end; i += branch.ratio) {
        rows.Add(i, Query(head, i), gathered.keys.data(),
                 gathered.values.data(), ++seen);
      }
    }
  }
  rows.Finish(out, lse);
}

void ShiftedGroups(const HeadRows& head, size_t group, size_t shift, float* out,
                   float* lse) {
  CHECK(shift < group);
  AttendFrom(
      head,
      [=](size_t i) {
        return i < shift ? 0 : shift + (i - shift) / group * group;
      },
      out, lse);
}

}  // namespace mneme::attention
