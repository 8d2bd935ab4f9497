// client/tokens_command.h: `mneme tokens`.

#ifndef MNEME_CLIENT_TOKENS_COMMAND_H_
#define MNEME_CLIENT_TOKENS_COMMAND_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "client/context.h"

namespace mneme::client {

struct TokensOptions {
  std::string session;
  uint32_t layer = 0;
  uint64_t from = 0;     // Seq of the first token.
  uint32_t limit = 100;  // At least 1.
  bool tensors = false;
};

// Lists tokens with their positions and tiers. JSON is one ReadTokensResponse,
// of as many pages as it takes; with keys and values of the first page alone,
// whose next_seq says where to go on.
// Errors: INVALID_ARGUMENT for tensors without JSON; the server's.
absl::StatusOr<int> RunTokens(const TokensOptions& options, Context& context);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_TOKENS_COMMAND_H_
