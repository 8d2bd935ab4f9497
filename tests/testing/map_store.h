// tests/testing/map_store.h: a Store in memory, which a test can open twice.

#ifndef MNEME_TESTS_TESTING_MAP_STORE_H_
#define MNEME_TESTS_TESTING_MAP_STORE_H_

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/error.h"
#include "base/mutex.h"
#include "memory/store.h"

namespace mneme::testing {

// What stays when a store is closed.
struct MapDisk {
  base::Mutex mutex;
  std::map<std::string, std::string> records ABSL_GUARDED_BY(mutex);
  // Called before each scan, with where it begins.
  std::function<void(const std::string& begin)> on_scan ABSL_GUARDED_BY(mutex);
};

// A copy of a disk.
class MapView final : public memory::StoreView {
 public:
  explicit MapView(std::map<std::string, std::string> records)
      : records_(std::move(records)) {}

  absl::StatusOr<std::string> Read(const std::string& key) const override {
    const auto it = records_.find(key);
    if (it == records_.end()) return absl::NotFoundError("no such record");
    return it->second;
  }

  absl::Status Scan(
      const std::string& begin, const std::string& end,
      const std::function<bool(std::string_view key, std::string_view value)>&
          visit) const override {
    for (auto it = records_.lower_bound(begin);
         it != records_.end() && it->first < end; ++it) {
      if (!visit(it->first, it->second)) break;
    }
    return absl::OkStatus();
  }

 private:
  const std::map<std::string, std::string> records_;
};

// Threads:  any.
class MapStore final : public memory::Store {
 public:
  // A second store over the same disk reads what the first one wrote.
  explicit MapStore(std::shared_ptr<MapDisk> disk = std::make_shared<MapDisk>())
      : disk_(std::move(disk)) {}

  absl::Status Write(const memory::WriteBatch& batch, bool /*sync*/) override {
    using Kind = memory::WriteBatch::Operation::Kind;
    base::MutexLock lock(&disk_->mutex);
    auto& records = disk_->records;
    for (const auto& operation : batch.operations) {
      switch (operation.kind) {
        case Kind::kPut:
          records[operation.key] = operation.value;
          break;
        case Kind::kDelete:
          records.erase(operation.key);
          break;
        case Kind::kDeleteRange:
          if (operation.key < operation.value) {
            records.erase(records.lower_bound(operation.key),
                          records.lower_bound(operation.value));
          }
          break;
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Read(const std::string& key) const override {
    base::MutexLock lock(&disk_->mutex);
    const auto it = disk_->records.find(key);
    if (it == disk_->records.end()) {
      return base::Error(absl::StatusCode::kNotFound, "no such record",
                         {.reason = "NO_RECORD",
                          .field = "",
                          .metadata = {},
                          .retry_after = {}});
    }
    return it->second;
  }

  absl::Status Scan(
      const std::string& begin, const std::string& end,
      const std::function<bool(std::string_view key, std::string_view value)>&
          visit) const override {
    const auto on_scan = [this] {
      base::MutexLock lock(&disk_->mutex);
      return disk_->on_scan;
    }();
    if (on_scan) on_scan(begin);
    // A copy, so that `visit` sees one moment and may call the store.
    std::vector<std::pair<std::string, std::string>> range;
    if (begin < end) {
      base::MutexLock lock(&disk_->mutex);
      range.assign(disk_->records.lower_bound(begin),
                   disk_->records.lower_bound(end));
    }
    for (const auto& [key, value] : range) {
      if (!visit(key, value)) break;
    }
    return absl::OkStatus();
  }

  std::unique_ptr<const memory::StoreView> Freeze() const override {
    base::MutexLock lock(&disk_->mutex);
    return std::make_unique<MapView>(disk_->records);
  }

  // Writes one file, RECORDS, that nobody reads.
  absl::Status Checkpoint(const std::string& directory) override {
    std::error_code error;
    if (!std::filesystem::create_directory(directory, error)) {
      return absl::AlreadyExistsError(directory);
    }
    std::ofstream file(directory + "/RECORDS", std::ios::binary);
    base::MutexLock lock(&disk_->mutex);
    for (const auto& [key, value] : disk_->records) file << key << value;
    return absl::OkStatus();
  }

  // Nothing to rewrite: what was deleted is gone.
  absl::Status Compact(const std::string& /*begin*/,
                       const std::string& /*end*/) override {
    return absl::OkStatus();
  }

  // A view is a copy, so it keeps nothing on the disk.
  uint64_t Moment() const override { return 0; }
  bool HasViewBefore(uint64_t /*moment*/) const override { return false; }
  void Interrupt() override {}

  uint64_t ApproximateBytes() const override {
    base::MutexLock lock(&disk_->mutex);
    uint64_t bytes = 0;
    for (const auto& [key, value] : disk_->records) {
      bytes += key.size() + value.size();
    }
    return bytes;
  }

  absl::Status Health() const override { return absl::OkStatus(); }

 private:
  const std::shared_ptr<MapDisk> disk_;
};

}  // namespace mneme::testing

#endif  // MNEME_TESTS_TESTING_MAP_STORE_H_
