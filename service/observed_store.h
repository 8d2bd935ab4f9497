// service/observed_store.h: a store whose calls are timed and counted.

#ifndef MNEME_SERVICE_OBSERVED_STORE_H_
#define MNEME_SERVICE_OBSERVED_STORE_H_

#include <memory>
#include <string>
#include <utility>

#include "base/clock.h"
#include "memory/store.h"
#include "service/metrics.h"

namespace mneme::service {

// Answers what the store inside answers. Threads:  any.
class ObservedStore final : public memory::Store {
 public:
  // Lifetime: `metrics` and `clock` outlive it.
  ObservedStore(std::unique_ptr<memory::Store> inside, Metrics* metrics,
                const base::Clock* clock)
      : inside_(std::move(inside)), metrics_(metrics), clock_(clock) {}

  absl::Status Write(const memory::WriteBatch& batch, bool sync) override;
  absl::StatusOr<std::string> Read(const std::string& key) const override;
  absl::Status Scan(
      const std::string& begin, const std::string& end,
      const std::function<bool(std::string_view key, std::string_view value)>&
          visit) const override;
  std::unique_ptr<const memory::StoreView> Freeze() const override {
    return inside_->Freeze();
  }
  absl::Status Checkpoint(const std::string& directory) override;
  absl::Status Compact(const std::string& begin,
                       const std::string& end) override;
  uint64_t Moment() const override { return inside_->Moment(); }
  bool HasViewBefore(uint64_t moment) const override {
    return inside_->HasViewBefore(moment);
  }
  void Interrupt() override { inside_->Interrupt(); }
  uint64_t ApproximateBytes() const override {
    return inside_->ApproximateBytes();
  }
  absl::Status Health() const override { return inside_->Health(); }

 private:
  double SecondsSince(std::chrono::steady_clock::time_point begin) const;

  const std::unique_ptr<memory::Store> inside_;
  Metrics* const metrics_;
  const base::Clock* const clock_;
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_OBSERVED_STORE_H_
