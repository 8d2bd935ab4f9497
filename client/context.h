// client/context.h: what every command works with: a server, two streams, and
// how the person wants to be answered.

#ifndef MNEME_CLIENT_CONTEXT_H_
#define MNEME_CLIENT_CONTEXT_H_

#include <chrono>
#include <memory>
#include <optional>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli.h"
#include "client/credentials.h"

namespace mneme::client {

class Client;

struct GlobalOptions {
  std::string server;            // --server, or empty.
  std::string data_dir;          // --data, or empty.
  Credentials credentials = {};  // As flags say; the environment fills in.
  bool json = false;
  std::optional<double> timeout_seconds;
  std::string traceparent;  // --traceparent, which is valid, or empty.
};

// Where and how to answer.
struct Terminal {
  std::ostream& out;
  std::ostream& err;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  bool color = false;  // Only for `out`.
};

// std::cout and std::cerr as they are now; colours unless NO_COLOR is set
// (https://no-color.org) or the terminal is dumb.
Terminal StandardTerminal();

// How long one call may take unless --timeout says otherwise.
inline constexpr std::chrono::seconds kCallDeadline{120};
// For calls that read or rebuild a whole session.
inline constexpr std::chrono::seconds kLongCallDeadline{3600};
// For a stream of a whole session, which lasts as long as the session is large:
// keepalive ends it when the server is gone.
inline constexpr std::chrono::seconds kStreamDeadline =
    std::chrono::hours(8760);

// Threads: one.
class Context {
 public:
  // Lifetime: `hooks` outlives it.
  Context(GlobalOptions options, const ServerHooks& hooks, Terminal terminal);
  ~Context();

  // A client of --data's directory, opened in this process, or of the server at
  // --server, $MNEME_SERVER or 127.0.0.1:7788, in this order. Owned by the
  // context, valid until the next call.
  // The server is shown the credentials of the options, else of
  // $MNEME_TOKEN_FILE or $MNEME_TOKEN, and $MNEME_TLS_CA, $MNEME_TLS_CERT,
  // $MNEME_TLS_KEY. Calls are part of the trace of the options, else of
  // $TRACEPARENT; one that is malformed is ignored, as W3C asks.
  // Errors: INVALID_ARGUMENT for --server together with --data; what opening
  //         the directory, or Connect, said.
  absl::StatusOr<Client*> Open(std::chrono::seconds deadline = kCallDeadline);

  // As Open, for a command that writes the first record: makes a directory that
  // is missing.
  absl::StatusOr<Client*> OpenOrCreate();

  // Copies a snapshot into --data's directory. Errors: INVALID_ARGUMENT without
  // --data; what the server's side says.
  absl::Status Restore(const std::string& snapshot) const;

  // `status` as a person should read it: a server that is not reached is named,
  // with what to do about it.
  absl::Status Explain(const absl::Status& status) const;

  bool json() const { return options_.json; }
  const std::string& data_dir() const { return options_.data_dir; }
  const Terminal& terminal() const { return terminal_; }
  std::ostream& out() const { return terminal_.out; }
  std::ostream& err() const { return terminal_.err; }

 private:
  absl::StatusOr<Client*> OpenWith(std::chrono::seconds deadline, bool create);
  // Says once why a person has to wait for a quota.
  void Waits(const absl::Status& status);

  const GlobalOptions options_;
  const ServerHooks& hooks_;
  const Terminal terminal_;
  std::string address_;  // Empty with --data and before Open.
  bool told_to_wait_ = false;
  std::optional<EmbeddedServer> embedded_;
  std::unique_ptr<Client> client_;
};

}  // namespace mneme::client

#endif  // MNEME_CLIENT_CONTEXT_H_
