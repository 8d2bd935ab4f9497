// client/snapshot_command.h: copies of a data directory, made and put back.

#ifndef MNEME_CLIENT_SNAPSHOT_COMMAND_H_
#define MNEME_CLIENT_SNAPSHOT_COMMAND_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/context.h"

namespace mneme::client {

// `name` empty: the server names it by the time.
absl::StatusOr<int> RunSnapshotCreate(const std::string& name,
                                      Context& context);
absl::StatusOr<int> RunSnapshotList(Context& context);
absl::StatusOr<int> RunSnapshotDelete(const std::string& name,
                                      Context& context);
// Copies the snapshot in `directory` into --data's directory.
absl::StatusOr<int> RunRestore(const std::string& directory, Context& context);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_SNAPSHOT_COMMAND_H_
