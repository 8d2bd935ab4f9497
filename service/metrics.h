// service/metrics.h: what the server counts, for Prometheus.

#ifndef MNEME_SERVICE_METRICS_H_
#define MNEME_SERVICE_METRICS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mneme::service {

// Bytes of this process in physical memory; 0 when the system does not say.
uint64_t ResidentBytes();

// Threads:  any.
class Metrics {
 public:
  // What is read when somebody looks, not counted as it happens.
  struct Levels {
    uint64_t queue_depth = 0;
    uint64_t sessions = 0;
    uint64_t open_sessions = 0;
  };

  // Lifetime: `levels` may be called until this is destroyed.
  explicit Metrics(std::function<Levels()> levels);
  ~Metrics();

  // A request of `method` came; it ended with `code` after `seconds`.
  void Began();
  void Ended(std::string_view method, absl::StatusCode code, double seconds);
  void Appended(uint64_t tokens);

  // The text a scraper gets.
  std::string Text() const;

  // Serves Text under http://HOST:PORT/metrics (port 0: a free one) until this
  // is destroyed; returns the bound port. Errors:   FAILED_PRECONDITION
  // ADDRESS_IN_USE when it cannot listen there.
  absl::StatusOr<int> Expose(const std::string& host, int port);

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_METRICS_H_
