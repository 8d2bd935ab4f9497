// attention/softmax.h: softmax attention over keys that arrive in pieces.

#ifndef MNEME_ATTENTION_SOFTMAX_H_
#define MNEME_ATTENTION_SOFTMAX_H_

#include <cstddef>
#include <vector>

namespace mneme::attention {

// Softmax-weighted means of values, for several query rows, in one pass
// (Milakov and Gimelshein, arXiv 1805.02867, algorithm 3). Weights and tiles of
// keys are summed in float, tiles in double, so the error does not grow with
// the number of keys.
// A row's result does not depend on the other rows.
// Threads:  one at a time.
class SoftmaxAccumulator {
 public:
  SoftmaxAccumulator(size_t rows, size_t value_dim);

  // Shows `count` keys to every row.
  // Shapes:   logits [rows, count], -infinity where masked;
  //           values [count, value_dim].
  // REQUIRES: values are finite. A row with a logit of NaN or +infinity has no
  //           meaningful result.
  void Add(const float* logits, const float* values, size_t count);

  // Shows `count` keys to one row.
  // Shapes:   logits [count]; values [count, value_dim].
  // REQUIRES: as Add.
  void AddRow(size_t row, const float* logits, const float* values,
              size_t count);

  // The means and the natural logs of sum(exp(logit)) so far; zeros and
  // -infinity for a row that saw nothing.
  // Shapes:   out [rows, value_dim]; lse [rows].
  void Finish(float* out, float* lse) const;
  void Finish(float* out, double* lse) const;

 private:
  // Of rows [first, first + row_count), at most kRowBlock; a tile of keys,
  // whose logits lie `logit_step` apart from row to row.
  void AddTile(size_t first, size_t row_count, const float* logits,
               size_t logit_step, const float* values, size_t count);
  // Turns the row's logits into weights against its new maximum; false when
  // every key is masked.
  bool Weigh(size_t row, const float* logits, size_t count, float* weights);

  size_t rows_;
  size_t value_dim_;
  std::vector<float> largest_;  // [rows], the largest logit so far.
  std::vector<double> total_;   // [rows], sum of exp(logit - largest).
  std::vector<double> sum_;     // [rows, value_dim], the same times value.
  std::vector<float> weights_;  // [kRowBlock, kTile] of the tile at hand.
  std::vector<float> tile_;     // [kRowBlock, value_dim], its weighted values.
};

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_SOFTMAX_H_
