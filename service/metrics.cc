#include "service/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace mneme::service {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

// From a cached read to a long verification, in steps of about 2.5.
const Histogram::BucketBoundaries kSecondsBuckets = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
    0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};

constexpr std::array<const char*, memory::kTierCount> kTiers = {
    "sink", "window", "knn", "compressive"};
constexpr std::array<const char*, 2> kPriorities = {"read", "write"};
constexpr std::array<const char*, 4> kStoreCalls = {"read", "scan", "compact",
                                                    "checkpoint"};

Family<Counter>& Counters(prometheus::Registry& registry, const char* name,
                          const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

Family<Histogram>& Histograms(prometheus::Registry& registry, const char* name,
                              const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

// One child for each of the label's values, from the start, so that a graph
// shows 0 and not nothing.
template <size_t kCount>
std::array<Counter*, kCount> EachOf(
    Family<Counter>& family, const char* label,
    const std::array<const char*, kCount>& values) {
  std::array<Counter*, kCount> children{};
  for (size_t i = 0; i < kCount; ++i) {
    children[i] = &family.Add({{label, values[i]}});
  }
  return children;
}

template <size_t kCount>
std::array<Histogram*, kCount> EachOf(
    Family<Histogram>& family, const char* label,
    const std::array<const char*, kCount>& values) {
  std::array<Histogram*, kCount> children{};
  for (size_t i = 0; i < kCount; ++i) {
    children[i] = &family.Add({{label, values[i]}}, kSecondsBuckets);
  }
  return children;
}

prometheus::MetricFamily Level(
    const std::string& name, const std::string& help,
    const std::vector<std::pair<std::string, uint64_t>>& values,
    const std::string& label = "") {
  prometheus::MetricFamily family{
      name, help, prometheus::MetricType::Gauge, {}};
  for (const auto& [value_of_label, value] : values) {
    prometheus::ClientMetric& metric = family.metric.emplace_back();
    metric.gauge.value = static_cast<double>(value);
    if (!label.empty()) metric.label.push_back({label, value_of_label});
  }
  return family;
}

std::vector<prometheus::MetricFamily> FamiliesOf(
    const Metrics::Levels& levels) {
  return {
      Level("mneme_queue_depth", "Requests waiting for a thread, by priority.",
            {{"read", levels.queued.reads}, {"write", levels.queued.writes}},
            "priority"),
      Level("mneme_queue_capacity", "Requests that may wait for a thread.",
            {{"", levels.queue_capacity}}),
      Level("mneme_sessions", "Sessions stored.", {{"", levels.sessions}}),
      Level("mneme_open_sessions", "Sessions open in memory.",
            {{"", levels.open_sessions}}),
      Level("mneme_streams", "Streams open, by kind.",
            {{"attend", levels.attend_streams},
             {"transfer", levels.transfer_streams}},
            "kind"),
      Level("mneme_pending_operations",
            "Deletions whose bytes have not left the disk.",
            {{"", levels.pending_operations}}),
      Level("mneme_disk_bytes", "Bytes of the data on disk, roughly.",
            {{"", levels.disk_bytes}}),
      Level("mneme_disk_free_bytes",
            "Free bytes of the file system of the data.",
            {{"", levels.disk_free_bytes}}),
      Level("mneme_disk_size_bytes", "Bytes of the file system of the data.",
            {{"", levels.disk_size_bytes}}),
      Level("mneme_resident_bytes", "Physical memory of the process.",
            {{"", ResidentBytes()}}),
  };
}

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
  const std::shared_ptr<prometheus::Registry> registry =
      std::make_shared<prometheus::Registry>();
  Family<Counter>& requests =
      Counters(*registry, "mneme_requests_total",
               "Requests answered, by method and status code.");
  Family<Counter>& errors =
      Counters(*registry, "mneme_errors_total",
               "Requests answered with an error, by code and reason.");
  Family<Histogram>& seconds =
      Histograms(*registry, "mneme_request_seconds",
                 "Time from admission to the answer, queue included.");
  Gauge& in_flight = prometheus::BuildGauge()
                         .Name("mneme_in_flight")
                         .Help("Requests not yet answered.")
                         .Register(*registry)
                         .Add({});
  std::array<Histogram*, 2> waits =
      EachOf(Histograms(*registry, "mneme_queue_wait_seconds",
                        "Time in the queue, by priority."),
             "priority", kPriorities);
  Counter& appends = Counters(*registry, "mneme_appends_total",
                              "Appends that were not replayed.")
                         .Add({});
  Counter& tokens =
      Counters(*registry, "mneme_tokens_appended_total", "Tokens appended.")
          .Add({});
  Counter& bytes = Counters(*registry, "mneme_bytes_appended_total",
                            "Bytes of keys, values and entries appended.")
                       .Add({});
  Counter& reads = Counters(*registry, "mneme_attention_reads_total",
                            "Layers read by Attend, and recalls.")
                       .Add({});
  std::array<Counter*, memory::kTierCount> shares =
      EachOf(Counters(*registry, "mneme_attention_share_total",
                      "Share of the attention by tier, summed over reads."),
             "tier", kTiers);
  Counter& malformed_traces =
      Counters(*registry, "mneme_malformed_trace_total",
               "Requests whose trace context was ignored.")
          .Add({});
  std::array<Histogram*, 2> writes =
      EachOf(Histograms(*registry, "mneme_store_write_seconds",
                        "Time of a write to the store; synced: until it is on "
                        "the disk."),
             "synced", std::array<const char*, 2>{"false", "true"});
  Counter& write_bytes = Counters(*registry, "mneme_store_write_bytes_total",
                                  "Bytes written to the store.")
                             .Add({});
  std::array<Histogram*, 4> calls =
      EachOf(Histograms(*registry, "mneme_store_call_seconds",
                        "Time of the store's other calls."),
             "call", kStoreCalls);
  Counter& replayed = Counters(*registry, "mneme_store_scanned_records_total",
                               "Records read in order, to open or verify.")
                          .Add({});
  Counter& replayed_bytes =
      Counters(*registry, "mneme_store_scanned_bytes_total",
               "Bytes of those records.")
          .Add({});
  Family<Counter>& store_failures =
      Counters(*registry, "mneme_store_failures_total",
               "Calls of the store that failed, by call and code.");
  Gauge& recovery_seconds = prometheus::BuildGauge()
                                .Name("mneme_recovery_seconds")
                                .Help("Time it took to open the data.")
                                .Register(*registry)
                                .Add({});

  void CountFailure(const char* call, const absl::Status& status) {
    store_failures
        .Add(
            {{"call", call}, {"code", absl::StatusCodeToString(status.code())}})
        .Increment();
  }
};

Metrics::Metrics(const std::string& version, const std::string& kernels)
    : impl_(std::make_unique<Impl>()) {
  prometheus::BuildGauge()
      .Name("mneme_build_info")
      .Help("1; the labels say what runs.")
      .Register(*impl_->registry)
      .Add({{"version", version}, {"kernels", kernels}})
      .Set(1);
  // What must page somebody at its first occurrence starts at 0.
  for (const char* call : {"write", "read", "scan", "compact", "checkpoint"}) {
    impl_->store_failures.Add({{"call", call}, {"code", "DATA_LOSS"}});
    impl_->store_failures.Add({{"call", call}, {"code", "UNAVAILABLE"}});
  }
}

Metrics::~Metrics() = default;

void Metrics::Began() { impl_->in_flight.Increment(); }

void Metrics::Ended(std::string_view method, const absl::Status& status,
                    double seconds) {
  const std::string name(method);
  const std::string code = absl::StatusCodeToString(status.code());
  impl_->in_flight.Decrement();
  impl_->requests.Add({{"method", name}, {"code", code}}).Increment();
  impl_->seconds.Add({{"method", name}}, kSecondsBuckets).Observe(seconds);
  if (status.ok()) return;
  const std::string reason = base::DetailOf(status).reason;
  impl_->errors
      .Add({{"code", code}, {"reason", reason.empty() ? code : reason}})
      .Increment();
}

void Metrics::Waited(Executor::Priority priority, double seconds) {
  impl_->waits[priority == Executor::Priority::kRead ? 0 : 1]->Observe(seconds);
}

void Metrics::Appended(uint64_t tokens, uint64_t bytes) {
  impl_->appends.Increment();
  impl_->tokens.Increment(static_cast<double>(tokens));
  impl_->bytes.Increment(static_cast<double>(bytes));
}

void Metrics::Attended(const memory::TierShares& shares) {
  impl_->reads.Increment();
  for (size_t tier = 0; tier < shares.size(); ++tier) {
    impl_->shares[tier]->Increment(shares[tier]);
  }
}

void Metrics::MalformedTrace() { impl_->malformed_traces.Increment(); }

void Metrics::StoreWrote(bool synced, uint64_t bytes,
                         const absl::Status& status, double seconds) {
  impl_->writes[synced ? 1 : 0]->Observe(seconds);
  if (status.ok()) {
    impl_->write_bytes.Increment(static_cast<double>(bytes));
  } else {
    impl_->CountFailure("write", status);
  }
}

void Metrics::StoreCalled(StoreCall call, uint64_t records, uint64_t bytes,
                          const absl::Status& status, double seconds) {
  const auto index = static_cast<size_t>(call);
  impl_->calls[index]->Observe(seconds);
  if (call == StoreCall::kScan) {
    impl_->replayed.Increment(static_cast<double>(records));
    impl_->replayed_bytes.Increment(static_cast<double>(bytes));
  }
  // Reading what is not there is an answer.
  if (!status.ok() && !absl::IsNotFound(status)) {
    impl_->CountFailure(kStoreCalls[index], status);
  }
}

void Metrics::Recovered(double seconds) {
  impl_->recovery_seconds.Set(seconds);
}

std::string Metrics::Text(const Levels& levels) const {
  std::vector<prometheus::MetricFamily> families = impl_->registry->Collect();
  for (prometheus::MetricFamily& family : FamiliesOf(levels)) {
    families.push_back(std::move(family));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace mneme::service
