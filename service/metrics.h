// service/metrics.h: what the server counts, for Prometheus.
// No label holds a name or a text of a caller: labels are our own words, so
// there are few of them and they give nothing away. doc/ops has what is made of
// them.

#ifndef MNEME_SERVICE_METRICS_H_
#define MNEME_SERVICE_METRICS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "memory/types.h"
#include "service/executor.h"

namespace mneme::service {

// Bytes of this process in physical memory; 0 when the system does not say.
uint64_t ResidentBytes();

// Threads:  any.
class Metrics {
 public:
  // What is read when somebody looks, not counted as it happens.
  struct Levels {
    Executor::Depth queued = {};
    uint64_t queue_capacity = 0;
    uint64_t sessions = 0;
    uint64_t open_sessions = 0;
    uint64_t attend_streams = 0;
    uint64_t transfer_streams = 0;
    uint64_t pending_operations = 0;
    uint64_t disk_bytes = 0;
    // Of the file system that holds the data; 0, 0: not known.
    uint64_t disk_free_bytes = 0;
    uint64_t disk_size_bytes = 0;
  };

  enum class StoreCall { kRead, kScan, kCompact, kCheckpoint };

  // What `version` and `kernels` this is, a metric of its own.
  Metrics(const std::string& version, const std::string& kernels);
  ~Metrics();

  // A request of `method` came; it ended with `status` after `seconds`.
  void Began();
  void Ended(std::string_view method, const absl::Status& status,
             double seconds);
  // A request waited in the queue.
  void Waited(Executor::Priority priority, double seconds);
  void Appended(uint64_t tokens, uint64_t bytes);
  // An answer's share of the attention by tier.
  void Attended(const memory::TierShares& shares);
  // A traceparent or tracestate was not as it must be.
  void MalformedTrace();

  // The store was called, and answered with `status` after `seconds`.
  void StoreWrote(bool synced, uint64_t bytes, const absl::Status& status,
                  double seconds);
  void StoreCalled(StoreCall call, uint64_t records, uint64_t bytes,
                   const absl::Status& status, double seconds);
  // The data directory was opened.
  void Recovered(double seconds);

  // The text a scraper gets.
  std::string Text(const Levels& levels) const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_METRICS_H_
