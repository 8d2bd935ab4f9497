// client/recall_command.h: `mneme recall` and `mneme context`.

#ifndef MNEME_CLIENT_RECALL_COMMAND_H_
#define MNEME_CLIENT_RECALL_COMMAND_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/context.h"

namespace mneme::client {

struct FilterOptions {
  std::string source;
  std::string role;
  std::map<std::string, std::string> metadata;
};

struct RecallOptions {
  std::string session;
  std::vector<std::string> query;  // Words, joined by spaces.
  std::optional<uint32_t> limit;
  FilterOptions filter;
  bool explain = false;
};

struct ContextOptions {
  std::string session;
  std::vector<std::string> query;
  uint32_t budget = 0;
  uint32_t recent = 0;
  FilterOptions filter;
};

// Prints ranked passages.
absl::StatusOr<int> RunRecall(const RecallOptions& options, Context& context);

// Prints the block on stdout, ready to be piped into a prompt, and its
// citations on stderr; with JSON all of it on stdout.
absl::StatusOr<int> RunContext(const ContextOptions& options, Context& context);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_RECALL_COMMAND_H_
