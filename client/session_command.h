// client/session_command.h: the commands that look after sessions.

#ifndef MNEME_CLIENT_SESSION_COMMAND_H_
#define MNEME_CLIENT_SESSION_COMMAND_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/context.h"

namespace mneme::client {

struct CreateOptions {
  std::string session;
  std::string profile;                // Name of a profile the server knows.
  std::string profile_file;           // A v1.Profile in protobuf JSON.
  std::vector<std::string> settings;  // "window.tokens=128", over the profile.
  std::optional<std::string> ttl;     // "30d".
};

// A session that is not there, with the nearest name in its namespace, or how
// to list them; any other status as it is.
absl::Status WithNearestSession(const absl::Status& status, Context& context);

struct VerifyOptions {
  std::string session;  // With `all`: a namespace, or empty for "default".
  bool all = false;
};

absl::StatusOr<int> RunCreate(const CreateOptions& options, Context& context);
// Lists every page of the sessions of a namespace ("" is "default").
absl::StatusOr<int> RunSessions(const std::string& name_space,
                                Context& context);
absl::StatusOr<int> RunShow(const std::string& session, Context& context);
// Of one session and the server, or ("") of the server alone.
absl::StatusOr<int> RunStats(const std::string& session, Context& context);
// Commits all but the last `keep` tokens of the window.
absl::StatusOr<int> RunCommit(const std::string& session, uint32_t keep,
                              Context& context);
// Returns kExitNotClean when a check failed.
absl::StatusOr<int> RunVerify(const VerifyOptions& options, Context& context);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_SESSION_COMMAND_H_
