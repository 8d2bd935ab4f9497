// tests/testing/power_cut.h: a file system that forgets what was not synced.
// RocksDB runs on it as on a real one; a cut of the power then leaves of every
// file what was synced and, as a disk may, some of what was written behind it;
// of every directory, what was there when it was last synced.

#ifndef MNEME_TESTS_TESTING_POWER_CUT_H_
#define MNEME_TESTS_TESTING_POWER_CUT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/mutex.h"

namespace rocksdb {
class Env;
}

namespace mneme::testing {

// What the disk does, shared by a file system and its open files.
// Threads: any.
class Disk {
 public:
  enum class Fault { kNone, kSyncFails, kWriteFails, kFull };

  // From the n-th write or sync on, counted from 0, every one fails.
  void FailFrom(uint64_t n, Fault fault);
  // So far.
  uint64_t writes() const;
  uint64_t syncs() const;

  // What the file system is asked, and tells.
  bool FailsWrite();
  bool FailsSync();
  bool is_full() const;
  void Opened(const std::string& path, uint64_t bytes);
  void Wrote(const std::string& path, uint64_t bytes);
  void Synced(const std::string& path);
  void SyncedDirectory(const std::string& directory);
  void Removed(const std::string& path);
  // `replaced`: what lay at `to`, if anything.
  void Renamed(const std::string& from, const std::string& to,
               std::optional<std::string> replaced);

  // Copies the directory `from` as it would be after a cut of the power to
  // `to`; `keep(n)` of n bytes that were not synced have reached the disk all
  // the same. Afterwards the disk is sound.
  void CutPower(const std::string& from, const std::string& to,
                const std::function<uint64_t(uint64_t)>& keep);

 private:
  struct File {
    uint64_t bytes = 0;
    uint64_t synced = 0;
    bool in_directory = false;  // It would be found there.
    // What its name stood for before, until the directory is synced.
    std::optional<std::string> replaced = {};
  };

  mutable base::Mutex mutex_;
  std::map<std::string, File> files_ ABSL_GUARDED_BY(mutex_);
  uint64_t writes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t syncs_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t fail_from_ ABSL_GUARDED_BY(mutex_) = 0;
  Fault fault_ ABSL_GUARDED_BY(mutex_) = Fault::kNone;
};

// The machine of this process with `disk` in it.
std::unique_ptr<rocksdb::Env> NewEnvOn(std::shared_ptr<Disk> disk);

}  // namespace mneme::testing

#endif  // MNEME_TESTS_TESTING_POWER_CUT_H_
