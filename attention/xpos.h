// attention/xpos.h: rotary positions whose magnitude falls with distance
// (Sun et al., arXiv 2212.10554, algorithm 1).
// Pair j of a query at position p is also multiplied by
// zeta_j^((p - c) / scale_base), of a key by the inverse power, with
// zeta_j = (2j/n + 0.4) / 1.4. The centre c is the caller's: it cancels in a
// logit when query and key share it, and nothing else may be compared.

#ifndef MNEME_ATTENTION_XPOS_H_
#define MNEME_ATTENTION_XPOS_H_

#include <cstdint>
#include <span>
#include <vector>

namespace mneme::attention {

struct XposConfig {
  double scale_base = 512;

  friend bool operator==(const XposConfig&, const XposConfig&) = default;
};

// Natural logarithms of magnitudes saturate here: e^64 times a component up to
// 5e10 is a float, and e^-64 times one down to 1e-10 a normal one.
inline constexpr double kXposExponentMax = 64;

// The largest |p - c| at which no magnitude saturates: 26156 at scale_base 512.
// A centre between key and query needs no such care: a magnitude that saturates
// there belongs to a product that is below 2e-28 |q_j| |k_j|, as it should be.
int64_t XposSafeSpan(const XposConfig& xpos);

// ln zeta_j, all negative.
// Shapes:  [rotary_dim / 2].
std::vector<double> XposLogScales(int rotary_dim);

// The magnitudes at `offset` positions from the centre, formed in the
// logarithm.
// Shapes:  log_scales, magnitudes [rotary_dim / 2].
void XposMagnitudes(const XposConfig& xpos, std::span<const double> log_scales,
                    int64_t offset, bool key_side, float* magnitudes);

}  // namespace mneme::attention

#endif  // MNEME_ATTENTION_XPOS_H_
