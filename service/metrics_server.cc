#include "service/metrics_server.h"

#include <httplib.h>

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace mneme::service {
namespace {

// Scrapers come one at a time; a second thread answers while one is slow.
constexpr int kThreads = 2;
constexpr int kTimeoutSeconds = 5;
constexpr size_t kRequestBytesMax = 4 << 10;
constexpr char kExpositionFormat[] = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace

struct MetricsServer::Impl {
  httplib::Server server;
  std::thread thread;
  int port = 0;
};

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(
    const std::string& host, int port, std::function<std::string()> text) {
  auto impl = std::make_unique<Impl>();
  httplib::Server& server = impl->server;
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server.set_read_timeout(kTimeoutSeconds, 0);
  server.set_write_timeout(kTimeoutSeconds, 0);
  server.set_payload_max_length(kRequestBytesMax);
  // The default lets a second server silently take half of the scrapes.
  server.set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  server.Get("/metrics", [text = std::move(text)](const httplib::Request&,
                                                  httplib::Response& response) {
    response.set_content(text(), kExpositionFormat);
  });
  impl->port = port == 0 ? server.bind_to_any_port(host.c_str()) : port;
  if (impl->port <= 0 ||
      (port != 0 && !server.bind_to_port(host.c_str(), port))) {
    return base::Error(
        absl::StatusCode::kFailedPrecondition,
        absl::StrCat("metrics cannot be served on ", host, ":", port,
                     "; is another server there? Choose another address with "
                     "--metrics-listen, or \"\" for no metrics"),
        {.reason = "ADDRESS_IN_USE", .field = "metrics_listen"});
  }
  impl->thread = std::thread([&server] { server.listen_after_bind(); });
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(impl)));
}

MetricsServer::MetricsServer(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}

MetricsServer::~MetricsServer() {
  // stop() before the loop runs would be lost.
  while (!impl_->server.is_running()) std::this_thread::yield();
  impl_->server.stop();
  impl_->thread.join();
}

int MetricsServer::port() const { return impl_->port; }

}  // namespace mneme::service
