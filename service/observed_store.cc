#include "service/observed_store.h"

namespace mneme::service {

absl::Status ObservedStore::Write(const memory::WriteBatch& batch, bool sync) {
  uint64_t bytes = 0;
  for (const auto& operation : batch.operations) {
    bytes += operation.key.size() + operation.value.size();
  }
  const auto begin = clock_->Ticks();
  absl::Status written = inside_->Write(batch, sync);
  metrics_->StoreWrote(sync, bytes, written, SecondsSince(begin));
  return written;
}

absl::StatusOr<std::string> ObservedStore::Read(const std::string& key) const {
  const auto begin = clock_->Ticks();
  absl::StatusOr<std::string> record = inside_->Read(key);
  metrics_->StoreCalled(Metrics::StoreCall::kRead, 1,
                        record.ok() ? record->size() : 0, record.status(),
                        SecondsSince(begin));
  return record;
}

absl::Status ObservedStore::Scan(
    const std::string& begin, const std::string& end,
    const std::function<bool(std::string_view key, std::string_view value)>&
        visit) const {
  uint64_t records = 0;
  uint64_t bytes = 0;
  const auto started = clock_->Ticks();
  absl::Status scanned = inside_->Scan(
      begin, end, [&](std::string_view key, std::string_view value) {
        ++records;
        bytes += key.size() + value.size();
        return visit(key, value);
      });
  metrics_->StoreCalled(Metrics::StoreCall::kScan, records, bytes, scanned,
                        SecondsSince(started));
  return scanned;
}

absl::Status ObservedStore::Checkpoint(const std::string& directory) {
  const auto started = clock_->Ticks();
  absl::Status written = inside_->Checkpoint(directory);
  metrics_->StoreCalled(Metrics::StoreCall::kCheckpoint, 0, 0, written,
                        SecondsSince(started));
  return written;
}

absl::Status ObservedStore::Compact(const std::string& begin,
                                    const std::string& end) {
  const auto started = clock_->Ticks();
  absl::Status compacted = inside_->Compact(begin, end);
  metrics_->StoreCalled(Metrics::StoreCall::kCompact, 0, 0, compacted,
                        SecondsSince(started));
  return compacted;
}

double ObservedStore::SecondsSince(
    std::chrono::steady_clock::time_point begin) const {
  return std::chrono::duration<double>(clock_->Ticks() - begin).count();
}

}  // namespace mneme::service
