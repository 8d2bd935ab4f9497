// service/serve.h: the command `mneme serve`, and a server inside a process.

#ifndef MNEME_SERVICE_SERVE_H_
#define MNEME_SERVICE_SERVE_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "service/server.h"

namespace mneme::service {

// Runs a server until SIGTERM or SIGINT, then drains it; a second signal ends
// the process at once with 130. argv[0] is the program, what follows are the
// flags after "serve". Returns 0 after a drain (and --help), 2 for wrong flags,
// 5 when it may not start (port or data directory in use, an address that other
// machines reach), 1 for any other failure.
// Threads:  once in a process, on its main thread.
int Serve(int argc, const char* const* argv);

// A server without ports, for one process that wants to use a data directory.
class InProcess {
 public:
  // REQUIRES: `server` is not null; its clock is `clock`.
  InProcess(std::unique_ptr<base::Clock> clock, std::unique_ptr<Server> server)
      : clock_(std::move(clock)), server_(std::move(server)) {}

  // Good while this is.
  std::shared_ptr<grpc::Channel> InProcessChannel() {
    return server_->InProcessChannel();
  }

 private:
  const std::unique_ptr<base::Clock> clock_;  // Outlives the server.
  const std::unique_ptr<Server> server_;
};

// Opens `data_dir`; logs nothing below warnings. `create`: makes it when it is
// missing.
// Errors:   those of CheckDataDir, OpenRocksStore and Server::Start.
absl::StatusOr<std::shared_ptr<InProcess>> OpenInProcess(
    const std::string& data_dir, bool create);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_SERVE_H_
