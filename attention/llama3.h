// attention/llama3.h: rotary positions in the bands of Llama 3.1.

#ifndef MNEME_ATTENTION_LLAMA3_H_
#define MNEME_ATTENTION_LLAMA3_H_

#include <cstdint>
#include <vector>

namespace mneme::attention {

// Llama 3.1's bands, linear in the turns within the original length: above
// high_freq_factor turns b_j, below low_freq_factor b_j / factor.
struct Llama3Config {
  double factor = 1;            // Extended length over original length.
  int64_t original_length = 0;  // Positions the model was trained on.
  double low_freq_factor = 1;
  double high_freq_factor = 4;

  friend bool operator==(const Llama3Config&, const Llama3Config&) = default;
};
std::vector<double> Llama3Frequencies(double theta, int rotary_dim,
                                      const Llama3Config& llama3);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_LLAMA3_H_
