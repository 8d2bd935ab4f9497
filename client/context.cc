#include "client/context.h"

#include <grpc/support/log.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <iostream>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/trace_parent.h"
#include "client/client.h"
#include "client/unreachable.h"

namespace mneme::client {
namespace {

constexpr char kDefaultAddress[] = "127.0.0.1:7788";
constexpr char kServerVariable[] = "MNEME_SERVER";

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// What no flag gave, from the environment; there is none for the token itself,
// since flags are shown to every user of the machine.
Credentials WithEnvironment(Credentials credentials) {
  const auto fill = [](std::string& value, const char* variable) {
    if (value.empty()) value = Variable(variable);
  };
  fill(credentials.token_file, "MNEME_TOKEN_FILE");
  if (credentials.token_file.empty()) fill(credentials.token, "MNEME_TOKEN");
  fill(credentials.ca_file, "MNEME_TLS_CA");
  fill(credentials.cert_file, "MNEME_TLS_CERT");
  fill(credentials.key_file, "MNEME_TLS_KEY");
  return credentials;
}

std::string TraceParentOf(const GlobalOptions& options) {
  if (!options.traceparent.empty()) return options.traceparent;
  const std::string inherited = Variable("TRACEPARENT");
  return base::IsTraceParent(inherited) ? inherited : "";
}

// What gRPC logs of a connection that fails, the status says as well.
void Ignore(gpr_log_func_args*) {}

}  // namespace

Terminal StandardTerminal() {
  Terminal terminal{.out = std::cout, .err = std::cerr};
  terminal.out_is_terminal = ::isatty(STDOUT_FILENO) == 1;
  terminal.err_is_terminal = ::isatty(STDERR_FILENO) == 1;
  terminal.color = terminal.out_is_terminal && Variable("NO_COLOR").empty() &&
                   Variable("TERM") != "dumb";
  return terminal;
}

Context::Context(GlobalOptions options, const ServerHooks& hooks,
                 Terminal terminal)
    : options_(std::move(options)), hooks_(hooks), terminal_(terminal) {}

Context::~Context() = default;

absl::StatusOr<Client*> Context::Open(std::chrono::seconds deadline) {
  return OpenWith(deadline, /*create=*/false);
}

absl::StatusOr<Client*> Context::OpenOrCreate() {
  return OpenWith(kCallDeadline, /*create=*/true);
}

absl::Status Context::Restore(const std::string& snapshot) const {
  if (options_.data_dir.empty() || !options_.server.empty()) {
    return base::InvalidField(
        "--data", options_.data_dir.empty() ? "nothing" : "--server too",
        "the empty or missing directory to restore into, and no --server");
  }
  return hooks_.restore(snapshot, options_.data_dir);
}

absl::StatusOr<Client*> Context::OpenWith(std::chrono::seconds deadline,
                                          bool create) {
  ClientOptions client_options{
      .deadline = deadline,
      .traceparent = TraceParentOf(options_),
      .on_retry = [this](const absl::Status& status) { Waits(status); }};
  if (options_.timeout_seconds) {
    client_options.deadline = std::chrono::milliseconds(
        std::llround(std::ceil(*options_.timeout_seconds * 1000)));
  }
  if (!options_.data_dir.empty()) {
    if (!options_.server.empty()) {
      return base::InvalidField("--data", "--server too",
                                "one of them: a directory or a server");
    }
    if (!embedded_) {
      auto embedded = hooks_.open(options_.data_dir, create);
      if (!embedded.ok()) return embedded.status();
      embedded_ = *std::move(embedded);
    }
    client_ = std::make_unique<Client>(embedded_->channel, client_options);
    return client_.get();
  }
  address_ = options_.server;
  if (address_.empty()) address_ = Variable(kServerVariable);
  if (address_.empty()) address_ = kDefaultAddress;
  if (Variable("GRPC_VERBOSITY").empty()) gpr_set_log_function(Ignore);
  auto channel = Connect(address_, WithEnvironment(options_.credentials));
  if (!channel.ok()) return channel.status();
  client_ = std::make_unique<Client>(*std::move(channel), client_options);
  return client_.get();
}

void Context::Waits(const absl::Status& status) {
  if (base::DetailOf(status).quota.empty() || json() || told_to_wait_) return;
  told_to_wait_ = true;
  // A progress bar may stand on the line.
  err() << (terminal_.err_is_terminal ? "\r\033[K" : "")
        << "waiting for the server's limits: " << status.message() << std::endl;
}

absl::Status Context::Explain(const absl::Status& status) const {
  // A reason means that a server did answer.
  const bool silent = base::DetailOf(status).reason.empty();
  if (address_.empty() || !silent) return status;
  if (absl::IsDeadlineExceeded(status)) {
    return base::Error(
        status.code(),
        absl::StrCat("the server at ", address_,
                     " did not answer in time; allow more with --timeout"),
        {.reason = "DEADLINE_EXCEEDED",
         .field = "",
         .metadata = {{"address", address_}},
         .retry_after = std::nullopt});
  }
  return Unreachable(status, address_, WithEnvironment(options_.credentials));
}

}  // namespace mneme::client
