// The door of the house: joins the two ends, client and service, in one binary.

#include "client/cli.h"
#include "service/offline.h"
#include "service/serve.h"
#include "service/token_command.h"

int main(int argc, char** argv) {
  const mneme::client::ServerHooks hooks = {
      .serve = mneme::service::Serve,
      .token = mneme::service::TokenCommand,
      .open = [](const std::string& data_dir,
                 bool create) -> absl::StatusOr<mneme::client::EmbeddedServer> {
        auto server = mneme::service::OpenInProcess(data_dir, create);
        if (!server.ok()) return server.status();
        return mneme::client::EmbeddedServer{(*server)->InProcessChannel(),
                                             *server};
      },
      .restore = mneme::service::RestoreSnapshot};
  return mneme::client::RunCli(argc, argv, hooks);
}
