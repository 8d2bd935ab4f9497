// client/upkeep_command.h: the commands that look after the whole server.

#ifndef MNEME_CLIENT_UPKEEP_COMMAND_H_
#define MNEME_CLIENT_UPKEEP_COMMAND_H_

#include "absl/status/statusor.h"
#include "client/context.h"

namespace mneme::client {

absl::StatusOr<int> RunCompact(Context& context);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_UPKEEP_COMMAND_H_
