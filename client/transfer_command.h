// client/transfer_command.h: `mneme export` and `mneme import`.

#ifndef MNEME_CLIENT_TRANSFER_COMMAND_H_
#define MNEME_CLIENT_TRANSFER_COMMAND_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/context.h"

namespace mneme::client {

struct ExportOptions {
  std::string session;
  std::string out;  // A directory to make.
};

// Writes a session into a new directory, whole or not at all; SIGINT ends it.
// Returns kExitOk or kExitInterrupted.
absl::StatusOr<int> RunExport(const ExportOptions& options, Context& context);

struct ImportOptions {
  std::string directory;
  std::string session;   // Empty: as it was called.
  bool dry_run = false;  // Checks the files; asks no server.
};

// Makes a session of such a directory, whole or not at all; SIGINT ends it.
// Returns kExitOk or kExitInterrupted.
absl::StatusOr<int> RunImport(const ImportOptions& options, Context& context);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_TRANSFER_COMMAND_H_
