// client/lifecycle_command.h: the commands that fork, limit and end what is
// remembered.

#ifndef MNEME_CLIENT_LIFECYCLE_COMMAND_H_
#define MNEME_CLIENT_LIFECYCLE_COMMAND_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "client/context.h"

namespace mneme::client {

// One of: entry; seqs; since and until; source, role and metadata.
struct ForgetOptions {
  std::string session;
  std::optional<uint64_t> entry;
  std::optional<std::string> seqs;  // "10:20", "10:".
  std::optional<std::string> since;
  std::optional<std::string> until;
  std::optional<std::string> source;
  std::optional<std::string> role;
  std::map<std::string, std::string> metadata;
  bool dry_run = false;
  bool wait = false;  // Until every trace is gone.
};

struct ForkOptions {
  std::string session;
  std::string fork;
  std::optional<uint64_t> at_seq;
  std::optional<std::string> ttl;
};

struct DeleteOptions {
  std::string session;     // Or:
  std::string name_space;  // All of its sessions.
  bool yes = false;
  bool wait = false;
};

absl::StatusOr<int> RunForget(const ForgetOptions& options, Context& context);
absl::StatusOr<int> RunFork(const ForkOptions& options, Context& context);
// `ttl`: a duration, or "never".
absl::StatusOr<int> RunTtl(const std::string& session, const std::string& ttl,
                           Context& context);
// Refuses unless `yes`, with what would be lost.
absl::StatusOr<int> RunDelete(const DeleteOptions& options, Context& context);
// With `wait`, returns when it is done.
absl::StatusOr<int> RunOperation(const std::string& name, bool wait,
                                 Context& context);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_LIFECYCLE_COMMAND_H_
