#include "attention/gate.h"

#include <vector>

#include "gtest/gtest.h"

namespace mneme::attention {
namespace {

const std::vector<float> kLocal = {1, -2, 3};
const std::vector<float> kMemory = {10, 20, 30};

std::vector<float> Mix(float g, const float* memory, EmptyMemory empty) {
  std::vector<float> out = kLocal;
  MixByGate(g, memory, empty, out);
  return out;
}

TEST(MixByGate, WeighsTheMemoryByG) {
  for (const EmptyMemory empty : {EmptyMemory::kBypass, EmptyMemory::kStrict}) {
    EXPECT_EQ(Mix(0, kMemory.data(), empty), kLocal);
    EXPECT_EQ(Mix(1, kMemory.data(), empty), kMemory);
    EXPECT_EQ(Mix(0.25f, kMemory.data(), empty),
              (std::vector<float>{3.25f, 3.5f, 9.75f}));
  }
}

TEST(MixByGate, AnEmptyMemoryIsBypassedByDefaultAndZerosWhenStrict) {
  EXPECT_EQ(Mix(0.25f, nullptr, EmptyMemory::kBypass), kLocal);
  EXPECT_EQ(Mix(0.25f, nullptr, EmptyMemory::kStrict),
            (std::vector<float>{0.75f, -1.5f, 2.25f}));
  EXPECT_EQ(Mix(1, nullptr, EmptyMemory::kBypass), kLocal);
}

}  // namespace
}  // namespace mneme::attention
