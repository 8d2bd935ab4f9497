#include "client/token_rows.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "client/request_id.h"

namespace mneme::client {
namespace {

constexpr size_t kTokenDimension = 2;  // Of [layers, kv_heads, tokens, dim].

std::string Describe(const NamedTensor& tensor) {
  return absl::StrCat(tensor.dtype, " [", absl::StrJoin(tensor.shape, ", "),
                      "]");
}

absl::StatusOr<const NamedTensor*> FindRows(const Safetensors& file,
                                            const std::string& name) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end()) {
    return base::InvalidField(name, "no such tensor in the file",
                              "[layers, kv_heads, tokens, dim]");
  }
  const NamedTensor& tensor = found->second;
  if (tensor.shape.size() != 4 || tensor.data.empty()) {
    return base::InvalidField(name, Describe(tensor),
                              "[layers, kv_heads, tokens, dim], not empty");
  }
  return &tensor;
}

uint64_t TokenBytes(const NamedTensor& rows) {
  return rows.data.size() / rows.shape[kTokenDimension];
}

// Tokens [begin, end) of `rows`.
v1::Tensor Slice(const NamedTensor& rows, v1::DataType type, int64_t begin,
                 int64_t end) {
  const size_t banks = rows.shape[0] * rows.shape[1];
  const size_t bank_bytes = rows.data.size() / banks;
  const size_t row_bytes = bank_bytes / rows.shape[kTokenDimension];
  v1::Tensor slice;
  slice.set_data_type(type);
  for (const int64_t extent : rows.shape) slice.add_shape(extent);
  slice.set_shape(kTokenDimension, end - begin);
  std::string& data = *slice.mutable_data();
  data.reserve(banks * (end - begin) * row_bytes);
  for (size_t bank = 0; bank < banks; ++bank) {
    data.append(rows.data, bank * bank_bytes + begin * row_bytes,
                (end - begin) * row_bytes);
  }
  return slice;
}

absl::StatusOr<v1::DataType> WireType(const std::string& name,
                                      const NamedTensor& tensor) {
  if (tensor.dtype == "F32") return v1::DATA_TYPE_FLOAT32;
  if (tensor.dtype == "F16") return v1::DATA_TYPE_FLOAT16;
  if (tensor.dtype == "BF16") return v1::DATA_TYPE_BFLOAT16;
  return base::InvalidField(name, Describe(tensor), "F32, F16 or BF16");
}

}  // namespace

absl::StatusOr<v1::Tensor> ToWire(const std::string& name,
                                  const NamedTensor& tensor) {
  ASSIGN_OR_RETURN(const v1::DataType type, WireType(name, tensor));
  v1::Tensor wire;
  wire.set_data_type(type);
  for (const int64_t extent : tensor.shape) wire.add_shape(extent);
  wire.set_data(tensor.data);
  return wire;
}

absl::StatusOr<std::vector<int64_t>> PositionsOf(const Safetensors& file,
                                                 const std::string& name,
                                                 int64_t count) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end()) return std::vector<int64_t>();
  const NamedTensor& tensor = found->second;
  if (tensor.dtype != "I64" || tensor.shape != std::vector<int64_t>{count}) {
    return base::InvalidField(name, Describe(tensor),
                              absl::StrCat("I64 [", count, "]"));
  }
  std::vector<int64_t> positions(count);
  for (int64_t i = 0; i < count; ++i) {
    uint64_t value = 0;
    for (int byte = 7; byte >= 0; --byte) {
      value =
          value << 8 | static_cast<unsigned char>(tensor.data[8 * i + byte]);
    }
    positions[i] = static_cast<int64_t>(value);
  }
  return positions;
}

absl::StatusOr<TokenRowsResult> AppendTokenRows(
    Client& client, const std::string& session, const Safetensors& file,
    const TokenRowNames& names, bool buffered,
    const std::function<bool()>& go_on) {
  ASSIGN_OR_RETURN(const NamedTensor* keys, FindRows(file, names.keys));
  ASSIGN_OR_RETURN(const NamedTensor* values, FindRows(file, names.values));
  ASSIGN_OR_RETURN(const v1::DataType key_type, WireType(names.keys, *keys));
  ASSIGN_OR_RETURN(const v1::DataType value_type,
                   WireType(names.values, *values));
  if (!std::equal(keys->shape.begin(), keys->shape.begin() + 3,
                  values->shape.begin())) {
    return base::InvalidField(names.values, Describe(*values),
                              absl::StrCat("layers, kv_heads and tokens of ",
                                           names.keys, ", ", Describe(*keys)));
  }
  const int64_t tokens = keys->shape[kTokenDimension];
  ASSIGN_OR_RETURN(const std::vector<int64_t> positions,
                   PositionsOf(file, names.positions, tokens));

  const uint64_t token_bytes = TokenBytes(*keys) + TokenBytes(*values);
  const auto step =
      static_cast<int64_t>(std::max<uint64_t>(1, kRequestBytes / token_bytes));
  TokenRowsResult result;
  for (int64_t begin = 0; begin < tokens; begin += step) {
    const int64_t end = std::min(begin + step, tokens);
    v1::AppendRequest request;
    request.set_session(session);
    request.set_request_id(RandomRequestId());
    if (begin > 0) request.set_expected_seq(result.last.seq_next());
    if (buffered) request.set_acknowledge(v1::ACKNOWLEDGE_BUFFERED);
    v1::TokenRows& rows = *request.mutable_tokens();
    *rows.mutable_keys() = Slice(*keys, key_type, begin, end);
    *rows.mutable_values() = Slice(*values, value_type, begin, end);
    if (!positions.empty()) {
      rows.mutable_positions()->Add(positions.begin() + begin,
                                    positions.begin() + end);
    }
    auto response = client.Append(request);
    if (!response.ok()) {
      return begin == 0
                 ? response.status()
                 : base::Annotate(response.status(),
                                  absl::StrCat("after ", begin, " of ", tokens,
                                               " tokens were appended"));
    }
    result.last = *std::move(response);
    result.tokens = end;
    ++result.requests;
    if (end < tokens && go_on && !go_on()) {
      return absl::CancelledError(
          absl::StrCat("stopped after ", end, " of ", tokens, " tokens"));
    }
  }
  return result;
}

}  // namespace mneme::client
