// client/append_command.h: `mneme append`.

#ifndef MNEME_CLIENT_APPEND_COMMAND_H_
#define MNEME_CLIENT_APPEND_COMMAND_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/context.h"

namespace mneme::client {

struct AppendOptions {
  std::string session;
  std::vector<std::string> files;
  std::optional<std::string> text;
  std::string tensors;  // A safetensors file.
  std::string role;
  std::string time;
  std::optional<std::string> source;
  std::map<std::string, std::string> metadata;
  bool buffered = false;
};

// Appends files, a text, or keys and values. Every file is read and judged
// before anything is appended. SIGINT stops it after the part it is at.
// Returns kExitOk or kExitInterrupted.
absl::StatusOr<int> RunAppend(const AppendOptions& options, Context& context);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_APPEND_COMMAND_H_
