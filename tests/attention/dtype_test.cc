#include "attention/dtype.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/random.h"
#include "tests/testing/targets.h"

namespace mneme::attention {
namespace {

using testing::OnEveryTarget;
using testing::Random;
using testing::Seed;

constexpr DType kAll[] = {DType::kF32, DType::kF16, DType::kBF16};
constexpr DType kHalves[] = {DType::kF16, DType::kBF16};

// What 16 bits mean, from the definition of the format.
double Meaning(DType dtype, uint16_t bits) {
  const int fraction_bits = dtype == DType::kF16 ? 10 : 7;
  const int exponent_max = dtype == DType::kF16 ? 31 : 255;
  const int bias = exponent_max / 2;
  const int exponent = (bits & 0x7fff) >> fraction_bits;
  const int fraction = bits & ((1 << fraction_bits) - 1);
  const double sign = bits >> 15 ? -1 : 1;
  if (exponent == exponent_max) {
    return fraction != 0 ? std::numeric_limits<double>::quiet_NaN()
                         : sign * std::numeric_limits<double>::infinity();
  }
  if (exponent == 0) {
    return sign * std::ldexp(fraction, 1 - bias - fraction_bits);
  }
  return sign * std::ldexp(fraction + (1 << fraction_bits),
                           exponent - bias - fraction_bits);
}

uint16_t InfinityOf(DType dtype) {
  return dtype == DType::kF16 ? 0x7c00 : 0x7f80;
}

uint16_t Narrow(DType dtype, float x) {
  uint16_t bits;
  FromFloat(dtype, &x, 1, reinterpret_cast<std::byte*>(&bits));
  return bits;
}

TEST(DType, SizesAndNamesAreThoseOfTheWire) {
  EXPECT_EQ(SizeOf(DType::kF32), 4);
  EXPECT_EQ(SizeOf(DType::kF16), 2);
  EXPECT_EQ(SizeOf(DType::kBF16), 2);
  EXPECT_EQ(NameOf(DType::kF32), "float32");
  EXPECT_EQ(NameOf(DType::kF16), "float16");
  EXPECT_EQ(NameOf(DType::kBF16), "bfloat16");
}

TEST(DType, EveryHalfWidensToWhatItMeans) {
  OnEveryTarget([] {
    for (const DType dtype : kHalves) {
      std::vector<uint16_t> bits(65536);
      for (size_t i = 0; i < bits.size(); ++i) bits[i] = i;
      std::vector<float> wide(bits.size());
      ToFloat(dtype, reinterpret_cast<const std::byte*>(bits.data()),
              bits.size(), wide.data());
      for (size_t i = 0; i < bits.size(); ++i) {
        const double meaning = Meaning(dtype, bits[i]);
        if (std::isnan(meaning)) {
          ASSERT_TRUE(std::isnan(wide[i])) << i;
        } else {
          ASSERT_EQ(wide[i], meaning) << i;
          ASSERT_EQ(std::signbit(wide[i]), std::signbit(meaning)) << i;
        }
      }
    }
  });
}

// Between any two neighbours: each of them, what lies just beside the middle,
// and the middle itself, which goes to the even one.
TEST(DType, EveryNarrowingGoesToTheNearestAndTiesToEven) {
  OnEveryTarget([] {
    for (const DType dtype : kHalves) {
      std::vector<float> given;
      std::vector<uint16_t> expected;
      for (const uint16_t sign : {0, 0x8000}) {
        for (uint16_t low = 0; low + 1 < InfinityOf(dtype); ++low) {
          const uint16_t a = low | sign;
          const uint16_t b = (low + 1) | sign;
          // Exact: halves have far fewer bits than floats, down to bfloat16's
          // last subnormals, whose middle is still a float subnormal.
          const float middle =
              static_cast<float>((Meaning(dtype, a) + Meaning(dtype, b)) / 2);
          given.push_back(static_cast<float>(Meaning(dtype, a)));
          expected.push_back(a);
          given.push_back(middle);
          expected.push_back(low % 2 == 0 ? a : b);
          given.push_back(std::nextafter(middle, 0.0f));
          expected.push_back(a);
          given.push_back(std::nextafter(middle, middle * 2));
          expected.push_back(b);
        }
      }
      std::vector<uint16_t> narrow(given.size());
      FromFloat(dtype, given.data(), given.size(),
                reinterpret_cast<std::byte*>(narrow.data()));
      for (size_t i = 0; i < given.size(); ++i) {
        ASSERT_EQ(narrow[i], expected[i]) << given[i];
      }
    }
  });
}

TEST(DType, WhatIsTooLargeBecomesInfinity) {
  OnEveryTarget([] {
    EXPECT_EQ(Narrow(DType::kF16, 65504.0f), 0x7bff);
    EXPECT_EQ(Narrow(DType::kF16, std::nextafter(65520.0f, 0.0f)), 0x7bff);
    EXPECT_EQ(Narrow(DType::kF16, 65520.0f), 0x7c00);
    EXPECT_EQ(Narrow(DType::kF16, -1e30f), 0xfc00);
    EXPECT_EQ(Narrow(DType::kBF16, std::numeric_limits<float>::max()), 0x7f80);
    for (const DType dtype : kHalves) {
      const float infinity = std::numeric_limits<float>::infinity();
      EXPECT_EQ(Narrow(dtype, infinity), InfinityOf(dtype));
      EXPECT_EQ(Narrow(dtype, -infinity), InfinityOf(dtype) | 0x8000);
    }
  });
}

TEST(DType, NotANumberStaysNotANumber) {
  OnEveryTarget([] {
    for (const uint32_t bits :
         {0x7fc00000u, 0x7f800001u, 0xff800001u, 0x7fffffffu, 0xffffffffu}) {
      float nan;
      std::memcpy(&nan, &bits, sizeof(nan));
      for (const DType dtype : kHalves) {
        EXPECT_TRUE(std::isnan(Meaning(dtype, Narrow(dtype, nan)))) << bits;
      }
    }
  });
}

TEST(DType, EveryLengthAtEveryAlignmentComesBackAndNoByteMoreIsWritten) {
  Random random(Seed());
  OnEveryTarget([&] {
    for (const DType dtype : kAll) {
      for (size_t count = 0; count <= 70; ++count) {
        for (size_t offset = 0; offset < 3; ++offset) {
          const std::vector<float> given = random.Normals(count);
          const size_t size = count * SizeOf(dtype);
          std::vector<std::byte> bytes(offset + size + 1, std::byte{0xa5});
          FromFloat(dtype, given.data(), count, bytes.data() + offset);
          ASSERT_EQ(bytes[offset + size], std::byte{0xa5});
          std::vector<float> back(count + 1, -7.0f);
          ToFloat(dtype, bytes.data() + offset, count, back.data());
          ASSERT_EQ(back[count], -7.0f);
          // Half a unit in the last place, 10 or 7 bits after the first;
          // float16's subnormals are 2^-24 apart.
          const double unit = dtype == DType::kF32   ? 0
                              : dtype == DType::kF16 ? std::ldexp(1, -11)
                                                     : std::ldexp(1, -8);
          for (size_t i = 0; i < count; ++i) {
            ASSERT_NEAR(back[i], given[i],
                        unit * std::abs(given[i]) +
                            (unit == 0 ? 0 : std::ldexp(1, -25)));
          }
        }
      }
    }
  });
}

TEST(DType, OneElementThatIsNotFiniteIsFoundAnywhere) {
  OnEveryTarget([] {
    for (const DType dtype : kAll) {
      for (size_t count = 0; count <= 70; ++count) {
        std::vector<float> given(count, -1.5f);
        std::vector<std::byte> bytes(count * SizeOf(dtype) + 1);
        std::byte* unaligned = bytes.data() + 1;
        FromFloat(dtype, given.data(), count, unaligned);
        ASSERT_TRUE(AllFinite(dtype, unaligned, count));
        for (size_t i = 0; i < count; ++i) {
          for (const float bad : {std::numeric_limits<float>::quiet_NaN(),
                                  -std::numeric_limits<float>::infinity()}) {
            given[i] = bad;
            FromFloat(dtype, given.data(), count, unaligned);
            ASSERT_FALSE(AllFinite(dtype, unaligned, count)) << i;
          }
          given[i] = -1.5f;
        }
      }
    }
  });
}

}  // namespace
}  // namespace mneme::attention
