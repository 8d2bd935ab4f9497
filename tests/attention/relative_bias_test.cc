#include "attention/relative_bias.h"

#include "gtest/gtest.h"

namespace mneme::attention {
namespace {

TEST(RelativeBias, IsOfTheHeadAndTheDistance) {
  const RelativeBias bias({.biases = {1, 2, 3, 10, 20, 30}}, 2);
  EXPECT_EQ(bias.Bias(0, 0), 1);
  EXPECT_EQ(bias.Bias(0, 2), 3);
  EXPECT_EQ(bias.Bias(1, 1), 20);
  // Beyond the last, the last; a key ahead, as one at hand.
  EXPECT_EQ(bias.Bias(1, int64_t{1} << 53), 30);
  EXPECT_EQ(bias.Bias(1, -5), 10);
}

TEST(RelativeBias, IsAddedToEveryLogit) {
  const RelativeBias bias({.biases = {1, 2, 4}}, 1);
  const std::vector<int64_t> positions = {3, 8, 9, 10};
  std::vector<float> logits = {100, 200, 300, 400};
  bias.AddTo(0, 10, positions, logits.data());
  EXPECT_EQ(logits, (std::vector<float>{104, 204, 302, 401}));
}

}  // namespace
}  // namespace mneme::attention
