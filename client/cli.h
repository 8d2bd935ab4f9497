// client/cli.h: the command line `mneme`.
// The CLI speaks only the wire. Whoever links the house together (main.cc)
// tells it how to run a server, so that this floor never includes the server's.

#ifndef MNEME_CLIENT_CLI_H_
#define MNEME_CLIENT_CLI_H_

#include <grpcpp/channel.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace mneme::client {

// A server in this process, alive as long as `keep_alive`.
struct EmbeddedServer {
  std::shared_ptr<grpc::Channel> channel;
  std::shared_ptr<void> keep_alive;
};

struct ServerHooks {
  // Runs `mneme serve` with the arguments after "serve" (argv[0] is the
  // program); returns the exit code.
  std::function<int(int argc, const char* const* argv)> serve;
  // Runs `mneme token` likewise.
  std::function<int(int argc, const char* const* argv)> token = {};
  // Opens `data_dir` in this process, for --data; `create` makes a missing one.
  std::function<absl::StatusOr<EmbeddedServer>(const std::string& data_dir,
                                               bool create)>
      open;
  // Copies the snapshot in the directory `snapshot` into `data_dir`.
  std::function<absl::Status(const std::string& snapshot,
                             const std::string& data_dir)>
      restore = {};
};

// Exit codes, documented in `mneme --help` and the README.
enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,    // The server or the store failed (INTERNAL, DATA_LOSS).
  kExitUsage = 2,     // Wrong flags or arguments, or INVALID_ARGUMENT.
  kExitNotFound = 3,  // No such session, entry, file.
  kExitUnavailable = 4,  // No server, a deadline, a full queue: try again.
  kExitRefused = 5,      // A precondition, a permission or a quota.
  kExitNotClean = 6,     // verify found something.
  kExitInterrupted = 130,
};

// Runs one command; returns an ExitCode.
int RunCli(int argc, const char* const* argv, const ServerHooks& hooks);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_CLI_H_
