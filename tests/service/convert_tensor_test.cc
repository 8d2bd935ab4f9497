#include "service/convert_tensor.h"

#include <array>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/random.h"

namespace mneme::service {
namespace {

using attention::DType;
using ::testing::ElementsAre;

constexpr std::array<Axis, 3> kAxes = {Axis{"heads", 2}, Axis{"rows", 0},
                                       Axis{"dim", 3}};

v1::Tensor TensorOf(v1::DataType data_type, std::vector<int64_t> shape,
                    size_t bytes) {
  v1::Tensor tensor;
  tensor.set_data_type(data_type);
  for (const int64_t extent : shape) tensor.add_shape(extent);
  tensor.set_data(std::string(bytes, '\0'));
  return tensor;
}

std::string RefusedField(const v1::Tensor& tensor) {
  const auto dtype = CheckTensor(tensor, "t", kAxes);
  EXPECT_EQ(dtype.status().code(), absl::StatusCode::kInvalidArgument);
  return base::DetailOf(dtype.status()).field;
}

TEST(Tensor, OfTheExpectedShapeIsTaken) {
  EXPECT_EQ(
      *CheckTensor(TensorOf(v1::DATA_TYPE_FLOAT32, {2, 5, 3}, 120), "t", kAxes),
      DType::kF32);
  EXPECT_EQ(
      *CheckTensor(TensorOf(v1::DATA_TYPE_FLOAT16, {2, 1, 3}, 12), "t", kAxes),
      DType::kF16);
  EXPECT_EQ(
      *CheckTensor(TensorOf(v1::DATA_TYPE_BFLOAT16, {2, 1, 3}, 12), "t", kAxes),
      DType::kBF16);
}

TEST(Tensor, OfAnUnknownTypeIsRefused) {
  EXPECT_EQ(RefusedField(TensorOf(v1::DATA_TYPE_UNSPECIFIED, {2, 1, 3}, 12)),
            "t.data_type");
  EXPECT_EQ(
      RefusedField(TensorOf(static_cast<v1::DataType>(77), {2, 1, 3}, 12)),
      "t.data_type");
}

TEST(Tensor, OfAnotherShapeIsRefused) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{},
                                            {2},
                                            {2, 1},
                                            {3, 1, 3},
                                            {2, 1, 2},
                                            {2, 0, 3},
                                            {2, -1, 3},
                                            {2, 1, 3, 1}}) {
    EXPECT_EQ(RefusedField(TensorOf(v1::DATA_TYPE_FLOAT32, shape, 24)),
              "t.shape");
  }
}

TEST(Tensor, WithTooFewOrTooManyBytesIsRefused) {
  for (const size_t bytes : {0, 1, 23, 25, 48}) {
    EXPECT_EQ(RefusedField(TensorOf(v1::DATA_TYPE_FLOAT32, {2, 1, 3}, bytes)),
              "t.data");
  }
}

TEST(Tensor, WhoseProductWrapsAroundIsRefused) {
  // 2 * rows * 3 * 4 bytes is 2^64 + 8 for the first of these.
  for (const int64_t rows :
       {int64_t{768614336404564651}, std::numeric_limits<int64_t>::max(),
        int64_t{1} << 62, int64_t{1} << 32}) {
    EXPECT_EQ(RefusedField(TensorOf(v1::DATA_TYPE_FLOAT32, {2, rows, 3}, 8)),
              "t.shape");
  }
}

TEST(Tensor, ElementsOfEveryTypeBecomeFloats) {
  // 1 and -2 as IEEE 754 writes them, little-endian.
  const std::string f32("\x00\x00\x80\x3f\x00\x00\x00\xc0", 8);
  const std::string f16("\x00\x3c\x00\xc0", 4);
  const std::string bf16("\x80\x3f\x00\xc0", 4);
  v1::Tensor tensor;
  for (const auto& [dtype, data] : {std::pair(DType::kF32, f32),
                                    {DType::kF16, f16},
                                    {DType::kBF16, bf16}}) {
    tensor.set_data(data);
    EXPECT_THAT(FloatsOf(tensor, "t", dtype).value(), ElementsAre(1, -2));
  }
}

TEST(Tensor, NanAndInfinityAreRefusedInEveryType) {
  v1::Tensor tensor;
  for (const auto& [dtype, data] :
       {std::pair(DType::kF32, std::string("\x00\x00\xc0\x7f", 4)),
        {DType::kF32, std::string("\x00\x00\x80\xff", 4)},
        {DType::kF16, std::string("\x00\x7e", 2)},
        {DType::kF16, std::string("\x00\xfc", 2)},
        {DType::kBF16, std::string("\xc0\x7f", 2)},
        {DType::kBF16, std::string("\x80\xff", 2)}}) {
    tensor.set_data(data);
    const auto floats = FloatsOf(tensor, "t", dtype);
    EXPECT_EQ(floats.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(base::DetailOf(floats.status()).field, "t.data");
  }
}

TEST(Tensor, ComesBackWithTheSameBits) {
  testing::Random random(testing::Seed());
  for (int round = 0; round < 50; ++round) {
    const int64_t rows = random.Int(1, 20);
    const std::vector<float> elements = random.Normals(2 * rows * 3, 1e3);
    v1::Tensor tensor;
    SetFloats(elements, {2, rows, 3}, &tensor);
    const auto dtype = CheckTensor(tensor, "t", kAxes);
    ASSERT_TRUE(dtype.ok()) << dtype.status();
    EXPECT_EQ(FloatsOf(tensor, "t", *dtype).value(), elements);
  }
}

}  // namespace
}  // namespace mneme::service
