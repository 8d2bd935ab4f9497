// attention/row_attention.h: query rows that each collect runs of keys of their
// own.

#ifndef MNEME_ATTENTION_ROW_ATTENTION_H_
#define MNEME_ATTENTION_ROW_ATTENTION_H_

#include <cstddef>
#include <vector>

#include "attention/kernels.h"
#include "attention/softmax.h"

namespace mneme::attention {

// Threads:  one at a time.
class RowAttention {
 public:
  RowAttention(size_t rows, size_t key_dim, size_t value_dim, float scale)
      : key_dim_(key_dim), scale_(scale), softmax_(rows, value_dim) {}

  // Shows `count` keys to one row; logits are scale * query . key.
  // Shapes:  query [key_dim]; keys [count, key_dim]; values [count, value_dim].
  void Add(size_t row, const float* query, const float* keys,
           const float* values, size_t count) {
    logits_.resize(count);
    DotRows(query, 1, keys, count, key_dim_, logits_.data());
    for (float& logit : logits_) logit *= scale_;
    softmax_.AddRow(row, logits_.data(), values, count);
  }

  // Shapes:  out [rows, value_dim]; lse [rows].
  void Finish(float* out, float* lse) const { softmax_.Finish(out, lse); }

 private:
  size_t key_dim_;
  float scale_;
  SoftmaxAccumulator softmax_;
  std::vector<float> logits_;
};

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_ROW_ATTENTION_H_
