// client/token_rows.h: keys and values from a file become appends.

#ifndef MNEME_CLIENT_TOKEN_ROWS_H_
#define MNEME_CLIENT_TOKEN_ROWS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/client.h"
#include "client/safetensors.h"

namespace mneme::client {

// Keys and values of one request; a layer's worth of a long prompt is larger
// than a message may be.
inline constexpr uint64_t kRequestBytes = 8 << 20;

// The wire's tensor of a file's, shape and bytes as they are.
// Errors: INVALID_ARGUMENT unless it is F32, F16 or BF16.
absl::StatusOr<v1::Tensor> ToWire(const std::string& name,
                                  const NamedTensor& tensor);

// The numbers of tensor `name`, one for each of `count`; empty when the file
// has no such tensor. Errors: INVALID_ARGUMENT unless it is I64 of shape
// [count].
absl::StatusOr<std::vector<int64_t>> PositionsOf(const Safetensors& file,
                                                 const std::string& name,
                                                 int64_t count);

struct TokenRowNames {
  std::string keys;       // [layers, kv_heads, tokens, key_dim]
  std::string values;     // [layers, kv_heads, tokens, value_dim]
  std::string positions;  // I64 [tokens]; the file may lack it.
};

struct TokenRowsResult {
  uint64_t tokens = 0;
  uint64_t requests = 0;
  v1::AppendResponse last;
};

// Appends the tokens of `file` in requests of at most kRequestBytes (or one
// token), each exactly behind the one before: another writer in between ends
// it. `go_on` is asked after each request. Errors: INVALID_ARGUMENT that names
// a tensor that is missing or of the wrong
//         shape (nothing is appended); CANCELLED; else the server's. Tokens
//         before a failed request are remembered; the message counts them.
absl::StatusOr<TokenRowsResult> AppendTokenRows(
    Client& client, const std::string& session, const Safetensors& file,
    const TokenRowNames& names, bool buffered,
    const std::function<bool()>& go_on = {});

}  // namespace mneme::client

#endif  // MNEME_CLIENT_TOKEN_ROWS_H_
