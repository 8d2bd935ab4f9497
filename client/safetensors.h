// client/safetensors.h: named tensors in a file, in the safetensors format:
// 8 bytes little-endian header length, a JSON header, raw row-major data.

#ifndef MNEME_CLIENT_SAFETENSORS_H_
#define MNEME_CLIENT_SAFETENSORS_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mneme::client {

struct NamedTensor {
  std::string dtype;  // As in the format: "F32", "F16", "BF16", "I64", "F64".
  std::vector<int64_t> shape;
  std::string data;  // Little-endian, exactly product(shape) * element size.

  bool operator==(const NamedTensor&) const = default;
};

struct Safetensors {
  std::map<std::string, NamedTensor> tensors;
  std::map<std::string, std::string> metadata;
};

// Limits: a header above kHeaderBytesMax is refused, as other readers do.
inline constexpr uint64_t kHeaderBytesMax = 100'000'000;

// Errors: INVALID_ARGUMENT that names the tensor and the rule for anything that
// is not a well-formed file: short header, bad JSON, unknown dtype, ranges that
// overlap, leave holes, or do not match dtype and shape, sizes that overflow.
absl::StatusOr<Safetensors> ParseSafetensors(std::string_view bytes);

// Errors: as ParseSafetensors; NOT_FOUND or PERMISSION_DENIED for the file.
absl::StatusOr<Safetensors> ReadSafetensors(const std::string& path);

// The bytes of a file. Errors: INVALID_ARGUMENT for a tensor whose dtype, shape
// and data do not agree.
absl::StatusOr<std::string> EncodeSafetensors(const Safetensors& content);

// Writes to a temporary file beside `path`, then renames: never half a file.
absl::Status WriteSafetensors(const Safetensors& content,
                              const std::string& path);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_SAFETENSORS_H_
