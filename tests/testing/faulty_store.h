// tests/testing/faulty_store.h: a disk that fails, forgets and lies.

#ifndef MNEME_TESTS_TESTING_FAULTY_STORE_H_
#define MNEME_TESTS_TESTING_FAULTY_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/error.h"
#include "base/mutex.h"
#include "memory/store.h"
#include "tests/testing/map_store.h"

namespace mneme::testing {

// What a test decides, shared with the store that a memory owns.
struct Faults {
  // What happens to the batch of the write that fails: nobody knows, so a test
  // tries both.
  enum class Failed { kLost, kOnDisk, kDiskFull };

  base::Mutex mutex;
  uint64_t writes ABSL_GUARDED_BY(mutex) = 0;
  uint64_t fail_at ABSL_GUARDED_BY(mutex) = ~uint64_t{0};  // From 0 on.
  Failed failed ABSL_GUARDED_BY(mutex) = Failed::kLost;
  bool broken ABSL_GUARDED_BY(mutex) = false;
  // A read that fails, or a scan that fails half way; the next one works.
  uint64_t reads ABSL_GUARDED_BY(mutex) = 0;
  uint64_t fail_read_at ABSL_GUARDED_BY(mutex) = ~uint64_t{0};
  // Written, but not yet on the disk.
  std::vector<memory::WriteBatch> unsynced ABSL_GUARDED_BY(mutex);
};

// A Store over a MapDisk. A batch reaches the disk with the next write that is
// synced; what is not there at a crash, which is to drop the store and open
// another, is gone. After a failed write it refuses, as memory::Store says.
// Threads:  any.
class FaultyStore final : public memory::Store {
 public:
  FaultyStore(std::shared_ptr<MapDisk> disk, std::shared_ptr<Faults> faults)
      : disk_(disk), seen_(CopyOf(*disk)), faults_(std::move(faults)) {
    base::MutexLock lock(&faults_->mutex);
    faults_->broken = false;
    faults_->unsynced.clear();
  }

  absl::Status Write(const memory::WriteBatch& batch, bool sync) override {
    base::MutexLock lock(&faults_->mutex);
    if (faults_->broken) return Failure();
    if (faults_->writes++ == faults_->fail_at) {
      faults_->broken = true;
      if (faults_->failed == Faults::Failed::kOnDisk) {
        faults_->unsynced.push_back(batch);
        Sync();
      }
      if (faults_->failed == Faults::Failed::kDiskFull) {
        return base::Error(absl::StatusCode::kResourceExhausted,
                           "the disk is full", {.reason = "DISK_FULL"});
      }
      return Failure();
    }
    faults_->unsynced.push_back(batch);
    if (sync) Sync();
    return seen_.Write(batch, sync);
  }

  absl::StatusOr<std::string> Read(const std::string& key) const override {
    if (ReadFails()) return Failure();
    return seen_.Read(key);
  }
  absl::Status Scan(
      const std::string& begin, const std::string& end,
      const std::function<bool(std::string_view key, std::string_view value)>&
          visit) const override {
    if (!ReadFails()) return seen_.Scan(begin, end, visit);
    uint64_t records = 0;
    const auto count = [&](std::string_view, std::string_view) {
      ++records;
      return true;
    };
    seen_.Scan(begin, end, count).IgnoreError();  // A map does not fail.
    uint64_t left = records / 2;
    const auto half = [&](std::string_view key, std::string_view value) {
      return left-- > 0 && visit(key, value);
    };
    seen_.Scan(begin, end, half).IgnoreError();
    return Failure();
  }
  std::unique_ptr<const memory::StoreView> Freeze() const override {
    return seen_.Freeze();
  }
  absl::Status Checkpoint(const std::string& directory) override {
    return seen_.Checkpoint(directory);
  }
  absl::Status Compact(const std::string& /*begin*/,
                       const std::string& /*end*/) override {
    return absl::OkStatus();
  }
  uint64_t Moment() const override { return seen_.Moment(); }
  bool HasViewBefore(uint64_t moment) const override {
    return seen_.HasViewBefore(moment);
  }
  void Interrupt() override { seen_.Interrupt(); }
  uint64_t ApproximateBytes() const override {
    return seen_.ApproximateBytes();
  }
  absl::Status Health() const override {
    base::MutexLock lock(&faults_->mutex);
    return faults_->broken ? Failure() : absl::OkStatus();
  }

 private:
  static std::shared_ptr<MapDisk> CopyOf(MapDisk& disk) {
    auto copy = std::make_shared<MapDisk>();
    base::MutexLock lock(&disk.mutex);
    base::MutexLock copy_lock(&copy->mutex);
    copy->records = disk.records;
    return copy;
  }

  static absl::Status Failure() {
    return base::Error(absl::StatusCode::kUnavailable, "the disk failed",
                       {.reason = "STORE_FAILED"});
  }

  bool ReadFails() const {
    base::MutexLock lock(&faults_->mutex);
    return faults_->reads++ == faults_->fail_read_at;
  }

  // The write-ahead log is one: what was written before goes with it.
  void Sync() ABSL_EXCLUSIVE_LOCKS_REQUIRED(faults_->mutex) {
    for (const memory::WriteBatch& batch : faults_->unsynced) {
      disk_.Write(batch, true).IgnoreError();  // A map does not fail.
    }
    faults_->unsynced.clear();
  }

  MapStore disk_;  // What a crash leaves.
  MapStore seen_;  // What was written, synced or not.
  const std::shared_ptr<Faults> faults_;
};

// Flips the lowest bit of byte `index` of the record at `key`; false when there
// is no such record.
inline bool Damage(MapDisk& disk, const std::string& key, size_t index = 20) {
  base::MutexLock lock(&disk.mutex);
  const auto it = disk.records.find(key);
  if (it == disk.records.end()) return false;
  it->second[index] = static_cast<char>(it->second[index] ^ 1);
  return true;
}

// The records of [range.first, range.second).
inline std::vector<std::pair<std::string, std::string>> RecordsIn(
    MapDisk& disk, const std::pair<std::string, std::string>& range) {
  base::MutexLock lock(&disk.mutex);
  return {disk.records.lower_bound(range.first),
          disk.records.lower_bound(range.second)};
}

}  // namespace mneme::testing

#endif  // MNEME_TESTS_TESTING_FAULTY_STORE_H_
