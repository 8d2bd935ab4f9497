#include "attention/landmark.h"

#include <algorithm>
#include <vector>

#include "attention/kernels.h"
#include "attention/partial.h"
#include "attention/row_attention.h"
#include "base/check.h"

namespace mneme::attention {

void LandmarkAttention(const HeadRows& head, size_t block, float* out,
                       float* lse) {
  CHECK(block > 1);
  const size_t others = block - 1;  // A block's tokens without its landmark.
  std::vector<float> means;
  std::vector<float> lses;
  std::vector<Partial> parts;
  for (size_t i = 0; i < head.tokens; ++i) {
    const float* const query = head.queries + i * head.key_dim;
    const size_t own = i / block;
    RowAttention blocks(own + 1, head.key_dim, head.value_dim, head.scale);
    for (size_t b = 0; b <= own; ++b) {
      blocks.Add(b, query, head.keys + b * block * head.key_dim,
                 head.values + b * block * head.value_dim,
                 std::min(others, i + 1 - b * block));
    }
    means.resize((own + 1) * head.value_dim);
    lses.resize(own + 1);
    blocks.Finish(means.data(), lses.data());
    parts.clear();
    for (size_t b = 0; b <= own; ++b) {
      if (b < own) {
        DotRows(query, 1, head.keys + (b * block + others) * head.key_dim, 1,
                head.key_dim, &lses[b]);
        lses[b] *= head.scale;
      }
      parts.push_back(
          {{means.data() + b * head.value_dim, head.value_dim}, lses[b]});
    }
    lse[i] = static_cast<float>(
        Merge(parts, {out + i * head.value_dim, head.value_dim}));
  }
}

}  // namespace mneme::attention
