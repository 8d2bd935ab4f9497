// Any bytes as a safetensors file: what is accepted is consistent in itself.

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>

#include "base/check.h"
#include "client/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto parsed = mneme::client::ParseSafetensors(
      {reinterpret_cast<const char*>(data), size});
  if (!parsed.ok()) return 0;
  size_t bytes = 0;
  for (const auto& [name, tensor] : parsed->tensors) {
    bool empty = false;
    for (const int64_t extent : tensor.shape) {
      CHECK(extent >= 0);
      empty = empty || extent == 0;
    }
    CHECK(empty == tensor.data.empty());
    if (!empty) {
      // Extents divide what is there, one after the other: no overflow.
      size_t rest = tensor.data.size();
      for (const int64_t extent : tensor.shape) {
        CHECK(rest % static_cast<size_t>(extent) == 0);
        rest /= static_cast<size_t>(extent);
      }
      CHECK(rest == 1 || rest == 2 || rest == 4 || rest == 8);
    }
    bytes += tensor.data.size();
  }
  CHECK(bytes < size);
  return 0;
}
