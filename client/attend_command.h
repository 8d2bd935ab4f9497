// client/attend_command.h: `mneme attend`: queries from a file, outputs to a
// file.

#ifndef MNEME_CLIENT_ATTEND_COMMAND_H_
#define MNEME_CLIENT_ATTEND_COMMAND_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/context.h"

namespace mneme::client {

struct AttendOptions {
  std::string session;
  std::string in;
  std::string out;
  std::optional<uint32_t> layer;  // Absent: 0, or every layer of a 4-D `q`.
  std::optional<uint32_t> top_k;
  bool exhaustive = false;
  std::vector<std::string> tiers;  // "sink", "window", "knn", "compressive".
};

// Reads `q` (and `positions`, I64 [rows]) from `in`, after appending `k` and
// `v` (and `k_positions`) if the file has them; writes `output`, `lse` unless a
// gate made it meaningless, and the tier shares as metadata. Shapes: q is
// [query_heads, rows, key_dim] or [layers, query_heads, rows,
//         key_dim]; output and lse have the same leading dimensions.
// Errors: INVALID_ARGUMENT that names the tensor; nothing is appended then.
absl::StatusOr<int> RunAttend(const AttendOptions& options, Context& context);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_ATTEND_COMMAND_H_
