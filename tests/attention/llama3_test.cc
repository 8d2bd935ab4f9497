#include "attention/llama3.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "tests/attention/frequencies_near.h"
#include "tests/reference/rope.h"
#include "tests/testing/random.h"

namespace mneme::attention {
namespace {

using testing::Random;
using testing::Seed;

TEST(Llama3Frequencies, AgreeWithThePublishedCode) {
  Random random(Seed());
  for (int round = 0; round < 200; ++round) {
    const double theta = random.Uniform(100, 1e6);
    const int n = 2 * static_cast<int>(random.Int(1, 64));
    const Llama3Config llama3 = {.factor = random.Uniform(1, 64),
                                 .original_length = random.Int(64, 1 << 20),
                                 .low_freq_factor = random.Uniform(0.5, 2),
                                 .high_freq_factor = random.Uniform(2.5, 8)};
    const std::vector<double> got = Llama3Frequencies(theta, n, llama3);
    const std::vector<double> expected = reference::Llama3Frequencies(
        theta, n, llama3.factor, static_cast<double>(llama3.original_length),
        llama3.low_freq_factor, llama3.high_freq_factor);
    ExpectNear(got, expected);
  }
}

}  // namespace
}  // namespace mneme::attention
