// tests/reference/rope.h: rotary positions, slowly, in double and wider.

#ifndef MNEME_TESTS_REFERENCE_ROPE_H_
#define MNEME_TESTS_REFERENCE_ROPE_H_

#include <cstdint>
#include <utility>
#include <vector>

namespace mneme::reference {

// cos and sin of position * frequency; |position| up to 2^52.
std::pair<double, double> CosSin(int64_t position, double frequency);

// YaRN's frequencies, as the public checkpoints' code states them.
std::vector<double> YarnFrequencies(double theta, int n, double factor,
                                    double original_length, double beta_fast,
                                    double beta_slow, bool truncate = true);

struct ByParts {
  double factor, original_length;
  double beta_0, beta_1, gamma_0, gamma_1;
  double ntk_factor, extrapolation_factor;
};
// NTK-by-parts, as YaRN's published code states it.
std::vector<double> NtkByPartsFrequencies(double theta, int n,
                                          const ByParts& parts);

// Llama 3.1's, by wavelengths, as its published code states it.
std::vector<double> Llama3Frequencies(double theta, int n, double factor,
                                      double original_length, double low,
                                      double high);

// `row` turned to `position`; pair j of n components is (j, j + n/2), or
// (2j, 2j + 1) when interleaved.
std::vector<double> Rotate(const std::vector<float>& row, int64_t position,
                           const std::vector<double>& frequencies,
                           bool interleaved);

}  // namespace mneme::reference

#endif  // MNEME_TESTS_REFERENCE_ROPE_H_
