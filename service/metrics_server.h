// service/metrics_server.h: /metrics over HTTP, for Prometheus.

#ifndef MNEME_SERVICE_METRICS_SERVER_H_
#define MNEME_SERVICE_METRICS_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace mneme::service {

// Answers GET /metrics with a text, and everything else with 404, from threads
// of its own.
class MetricsServer {
 public:
  // Listens on `host` and `port` (0: a free one) until it is destroyed.
  // Errors: FAILED_PRECONDITION ADDRESS_IN_USE when it cannot listen there.
  // Lifetime: `text` may be called until then.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(
      const std::string& host, int port, std::function<std::string()> text);
  ~MetricsServer();

  int port() const;

 private:
  struct Impl;
  explicit MetricsServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_METRICS_SERVER_H_
