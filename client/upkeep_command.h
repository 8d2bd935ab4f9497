// client/upkeep_command.h: the commands that look after the whole server.

#ifndef MNEME_CLIENT_UPKEEP_COMMAND_H_
#define MNEME_CLIENT_UPKEEP_COMMAND_H_

#include "absl/status/statusor.h"
#include "client/context.h"

namespace mneme::client {

absl::StatusOr<int> RunCompact(Context& context);

// kExitNotClean when forgotten bytes were found, in snapshots too.
absl::StatusOr<int> RunVerifyForgotten(Context& context);

// What is wrong, and what to do; a server or directory that cannot be opened is
// a finding too. kExitNotClean when a finding is an error.
absl::StatusOr<int> RunDoctor(Context& context);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_UPKEEP_COMMAND_H_
