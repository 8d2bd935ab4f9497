#include "service/convert_tensor.h"

#include <bit>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/error.h"
#include "base/status_macros.h"

namespace mneme::service {
namespace {

using attention::DType;
using base::InvalidField;

// The wire is little-endian and the bytes are used as they are.
static_assert(std::endian::native == std::endian::little);

// More dimensions than this are not worth repeating in a message.
constexpr int kShownDimensions = 8;

std::string ShapeOf(const v1::Tensor& tensor) {
  const int shown = std::min(tensor.shape_size(), kShownDimensions);
  return absl::StrCat("[",
                      absl::StrJoin(tensor.shape().begin(),
                                    tensor.shape().begin() + shown, ", "),
                      shown < tensor.shape_size() ? ", ...]" : "]");
}

std::string ShapeOf(std::span<const Axis> axes) {
  std::string shape = "[";
  for (const Axis& axis : axes) {
    if (shape.size() > 1) shape += ", ";
    shape += axis.name;
    if (axis.extent != 0) absl::StrAppend(&shape, " = ", axis.extent);
  }
  return shape + "]";
}

bool Fits(const v1::Tensor& tensor, std::span<const Axis> axes) {
  if (static_cast<size_t>(tensor.shape_size()) != axes.size()) return false;
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t extent = tensor.shape(static_cast<int>(i));
    if (extent < 1) return false;
    if (axes[i].extent != 0 && extent != axes[i].extent) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<DType> DTypeFromProto(v1::DataType data_type,
                                     std::string_view field) {
  switch (data_type) {
    case v1::DATA_TYPE_FLOAT32:
      return DType::kF32;
    case v1::DATA_TYPE_FLOAT16:
      return DType::kF16;
    case v1::DATA_TYPE_BFLOAT16:
      return DType::kBF16;
    default:
      return InvalidField(field,
                          absl::StrCat("value ", static_cast<int>(data_type)),
                          "FLOAT32, FLOAT16 or BFLOAT16");
  }
}

v1::DataType DTypeToProto(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return v1::DATA_TYPE_FLOAT32;
    case DType::kF16:
      return v1::DATA_TYPE_FLOAT16;
    case DType::kBF16:
      return v1::DATA_TYPE_BFLOAT16;
  }
  return v1::DATA_TYPE_UNSPECIFIED;
}

absl::StatusOr<DType> CheckTensor(const v1::Tensor& tensor,
                                  const std::string& field,
                                  std::span<const Axis> axes) {
  ASSIGN_OR_RETURN(const DType dtype,
                   DTypeFromProto(tensor.data_type(), field + ".data_type"));
  if (!Fits(tensor, axes)) {
    return InvalidField(
        field + ".shape", ShapeOf(tensor),
        absl::StrCat(ShapeOf(axes), ", every extent at least 1"));
  }
  // Bounded at each step, so that no shape overflows the product.
  uint64_t bytes = attention::SizeOf(dtype);
  for (const int64_t extent : tensor.shape()) {
    if (static_cast<uint64_t>(extent) > kMessageBytesMax / bytes) {
      return InvalidField(
          field + ".shape", ShapeOf(tensor),
          absl::StrCat("at most ", kMessageBytesMax, " bytes of elements"));
    }
    bytes *= static_cast<uint64_t>(extent);
  }
  if (tensor.data().size() != bytes) {
    return InvalidField(
        field + ".data", absl::StrCat(tensor.data().size(), " bytes"),
        absl::StrCat(bytes, " bytes for shape ", ShapeOf(tensor), " of ",
                     std::string(attention::NameOf(dtype))));
  }
  return dtype;
}

absl::StatusOr<std::vector<float>> FloatsOf(const v1::Tensor& tensor,
                                            const std::string& field,
                                            DType dtype) {
  const size_t count = tensor.data().size() / attention::SizeOf(dtype);
  const auto* bytes = reinterpret_cast<const std::byte*>(tensor.data().data());
  if (!attention::AllFinite(dtype, bytes, count)) {
    return InvalidField(field + ".data", "NaN or infinity", "finite numbers");
  }
  std::vector<float> floats(count);
  attention::ToFloat(dtype, bytes, count, floats.data());
  return floats;
}

void SetFloats(std::span<const float> elements,
               std::initializer_list<int64_t> shape, v1::Tensor* tensor) {
  tensor->set_data_type(v1::DATA_TYPE_FLOAT32);
  size_t count = 1;
  for (const int64_t extent : shape) {
    tensor->add_shape(extent);
    count *= static_cast<size_t>(extent);
  }
  CHECK(count == elements.size());
  tensor->set_data(elements.data(), elements.size_bytes());
}

}  // namespace mneme::service
