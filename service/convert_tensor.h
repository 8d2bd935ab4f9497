// service/convert_tensor.h: tensors as they travel, to bytes that were checked
// and back.

#ifndef MNEME_SERVICE_CONVERT_TENSOR_H_
#define MNEME_SERVICE_CONVERT_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attention/dtype.h"
#include "mneme/v1/tensor.pb.h"

namespace mneme::service {

// The largest message either side sends or takes: a segment of 128 tokens of a
// 32-layer, 8-head, 128-dim model is 16.8 MB, and several must fit.
inline constexpr size_t kMessageBytesMax = 64 << 20;

// One expected dimension.
struct Axis {
  std::string_view name;
  int64_t extent = 0;  // 0: any extent from 1.
};

// Errors:   INVALID_ARGUMENT on FIELD for UNSPECIFIED or an unknown value.
absl::StatusOr<attention::DType> DTypeFromProto(v1::DataType data_type,
                                                std::string_view field);
v1::DataType DTypeToProto(attention::DType dtype);

// Checks type, shape and length of `tensor`; returns its type.
// Errors:   INVALID_ARGUMENT on FIELD.data_type, FIELD.shape or FIELD.data.
absl::StatusOr<attention::DType> CheckTensor(const v1::Tensor& tensor,
                                             const std::string& field,
                                             std::span<const Axis> axes);

// The elements as floats.
// Errors:   INVALID_ARGUMENT on FIELD.data for NaN or infinity.
// REQUIRES: CheckTensor returned `dtype`.
absl::StatusOr<std::vector<float>> FloatsOf(const v1::Tensor& tensor,
                                            const std::string& field,
                                            attention::DType dtype);

// Fills `tensor` with FLOAT32.
// REQUIRES: the product of `shape` is the size of `elements`.
void SetFloats(std::span<const float> elements,
               std::initializer_list<int64_t> shape, v1::Tensor* tensor);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_CONVERT_TENSOR_H_
