#include "service/metrics.h"

#include <prometheus/collectable.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "service/metrics_server.h"

namespace mneme::service {
namespace {

// From a cached read to a long verification, in steps of about 2.5.
const prometheus::Histogram::BucketBoundaries kSecondsBuckets = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1,    0.25,  0.5,    1,     2.5,  5,     10};

prometheus::MetricFamily Gauge(const std::string& name, const std::string& help,
                               double value) {
  prometheus::ClientMetric metric;
  metric.gauge.value = value;
  return {name, help, prometheus::MetricType::Gauge, {metric}};
}

// Asks for the levels at each scrape.
class LevelCollector final : public prometheus::Collectable {
 public:
  explicit LevelCollector(std::function<Metrics::Levels()> levels)
      : levels_(std::move(levels)) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    const Metrics::Levels levels = levels_();
    return {
        Gauge("mneme_queue_depth", "Requests waiting for a thread.",
              static_cast<double>(levels.queue_depth)),
        Gauge("mneme_sessions", "Sessions stored.",
              static_cast<double>(levels.sessions)),
        Gauge("mneme_open_sessions", "Sessions open in memory.",
              static_cast<double>(levels.open_sessions)),
        Gauge("mneme_resident_bytes", "Physical memory of the process.",
              static_cast<double>(ResidentBytes())),
    };
  }

 private:
  const std::function<Metrics::Levels()> levels_;
};

}  // namespace

uint64_t ResidentBytes() {
  // man 5 proc: size and resident, in pages.
  std::ifstream statm("/proc/self/statm");
  uint64_t size = 0;
  uint64_t resident = 0;
  if (!(statm >> size >> resident)) return 0;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

struct Metrics::Impl {
  explicit Impl(std::function<Levels()> levels)
      : level_collector(std::make_shared<LevelCollector>(std::move(levels))) {}

  const std::shared_ptr<prometheus::Registry> registry =
      std::make_shared<prometheus::Registry>();
  const std::shared_ptr<LevelCollector> level_collector;
  prometheus::Family<prometheus::Counter>& requests =
      prometheus::BuildCounter()
          .Name("mneme_requests_total")
          .Help("Requests answered, by method and status code.")
          .Register(*registry);
  prometheus::Family<prometheus::Histogram>& seconds =
      prometheus::BuildHistogram()
          .Name("mneme_request_seconds")
          .Help("Time from admission to the answer, queue included.")
          .Register(*registry);
  prometheus::Gauge& in_flight = prometheus::BuildGauge()
                                     .Name("mneme_in_flight")
                                     .Help("Requests not yet answered.")
                                     .Register(*registry)
                                     .Add({});
  prometheus::Counter& tokens = prometheus::BuildCounter()
                                    .Name("mneme_tokens_appended_total")
                                    .Help("Tokens appended.")
                                    .Register(*registry)
                                    .Add({});
  // Last, so that nobody scrapes what is being destroyed.
  std::unique_ptr<MetricsServer> server;
};

Metrics::Metrics(std::function<Levels()> levels)
    : impl_(std::make_unique<Impl>(std::move(levels))) {}

Metrics::~Metrics() = default;

void Metrics::Began() { impl_->in_flight.Increment(); }

void Metrics::Ended(std::string_view method, absl::StatusCode code,
                    double seconds) {
  const std::string name(method);
  impl_->in_flight.Decrement();
  impl_->requests
      .Add({{"method", name}, {"code", absl::StatusCodeToString(code)}})
      .Increment();
  impl_->seconds.Add({{"method", name}}, kSecondsBuckets).Observe(seconds);
}

void Metrics::Appended(uint64_t tokens) {
  impl_->tokens.Increment(static_cast<double>(tokens));
}

std::string Metrics::Text() const {
  std::vector<prometheus::MetricFamily> families = impl_->registry->Collect();
  for (prometheus::MetricFamily& family : impl_->level_collector->Collect()) {
    families.push_back(std::move(family));
  }
  return prometheus::TextSerializer().Serialize(families);
}

absl::StatusOr<int> Metrics::Expose(const std::string& host, int port) {
  ASSIGN_OR_RETURN(impl_->server,
                   MetricsServer::Start(host, port, [this] { return Text(); }));
  return impl_->server->port();
}

}  // namespace mneme::service
