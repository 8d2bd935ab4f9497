#include "tests/testing/power_cut.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/system_clock.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace mneme::testing {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

std::optional<std::string> ContentOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

IOStatus FailureOf(const Disk& disk) {
  return disk.is_full() ? IOStatus::NoSpace("a test filled the disk")
                        : IOStatus::IOError("a test broke the disk");
}

class CutFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  CutFile(std::unique_ptr<rocksdb::FSWritableFile> target, std::string path,
          std::shared_ptr<Disk> disk)
      : FSWritableFileOwnerWrapper(std::move(target)),
        path_(std::move(path)),
        disk_(std::move(disk)) {}

  IOStatus Append(const Slice& data, const IOOptions& options,
                  IODebugContext* debug) override {
    if (disk_->FailsWrite()) return FailureOf(*disk_);
    const IOStatus done = target()->Append(data, options, debug);
    if (done.ok()) disk_->Wrote(path_, data.size());
    return done;
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& /*info*/,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Sync(const IOOptions& /*options*/,
                IODebugContext* /*debug*/) override {
    return Synced();
  }
  IOStatus Fsync(const IOOptions& /*options*/,
                 IODebugContext* /*debug*/) override {
    return Synced();
  }

 private:
  // The real disk is not asked: this process lives on.
  IOStatus Synced() {
    if (disk_->FailsSync()) return FailureOf(*disk_);
    disk_->Synced(path_);
    return IOStatus::OK();
  }

  const std::string path_;
  const std::shared_ptr<Disk> disk_;
};

class CutDirectory final : public rocksdb::FSDirectory {
 public:
  CutDirectory(std::string path, std::shared_ptr<Disk> disk)
      : path_(std::move(path)), disk_(std::move(disk)) {}

  IOStatus Fsync(const IOOptions& /*options*/,
                 IODebugContext* /*debug*/) override {
    if (disk_->FailsSync()) return FailureOf(*disk_);
    disk_->SyncedDirectory(path_);
    return IOStatus::OK();
  }

 private:
  const std::string path_;
  const std::shared_ptr<Disk> disk_;
};

class CutFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  explicit CutFileSystem(std::shared_ptr<Disk> disk)
      : FileSystemWrapper(rocksdb::FileSystem::Default()),
        disk_(std::move(disk)) {}
  const char* Name() const override { return "CutFileSystem"; }

  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file,
                           IODebugContext* debug) override {
    return Wrapped(target()->NewWritableFile(path, options, file, debug), path,
                   file);
  }
  IOStatus ReopenWritableFile(const std::string& path,
                              const FileOptions& options,
                              std::unique_ptr<rocksdb::FSWritableFile>* file,
                              IODebugContext* debug) override {
    return Wrapped(target()->ReopenWritableFile(path, options, file, debug),
                   path, file);
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions& /*options*/,
                        std::unique_ptr<rocksdb::FSDirectory>* directory,
                        IODebugContext* /*debug*/) override {
    *directory = std::make_unique<CutDirectory>(path, disk_);
    return IOStatus::OK();
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions& options,
                      IODebugContext* debug) override {
    const IOStatus done = target()->DeleteFile(path, options, debug);
    if (done.ok()) disk_->Removed(path);
    return done;
  }
  IOStatus RenameFile(const std::string& from, const std::string& to,
                      const IOOptions& options,
                      IODebugContext* debug) override {
    std::optional<std::string> replaced = ContentOf(to);
    const IOStatus done = target()->RenameFile(from, to, options, debug);
    if (done.ok()) disk_->Renamed(from, to, std::move(replaced));
    return done;
  }

 private:
  IOStatus Wrapped(IOStatus opened, const std::string& path,
                   std::unique_ptr<rocksdb::FSWritableFile>* file) {
    if (!opened.ok()) return opened;
    disk_->Opened(path, std::filesystem::file_size(path));
    *file = std::make_unique<CutFile>(std::move(*file), path, disk_);
    return opened;
  }

  const std::shared_ptr<Disk> disk_;
};

// RocksDB takes a second's rest after an error in the background.
class RestlessClock final : public rocksdb::SystemClockWrapper {
 public:
  RestlessClock() : SystemClockWrapper(rocksdb::SystemClock::Default()) {}
  const char* Name() const override { return "RestlessClock"; }
  void SleepForMicroseconds(int /*micros*/) override {}
};

// An Env that keeps its file system.
class CutEnv final : public rocksdb::EnvWrapper {
 public:
  explicit CutEnv(std::unique_ptr<rocksdb::Env> env)
      : EnvWrapper(env.get()), env_(std::move(env)) {
    file_system_ = env_->GetFileSystem();
    system_clock_ = std::make_shared<RestlessClock>();
  }

 private:
  const std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace

void Disk::FailFrom(uint64_t n, Fault fault) {
  base::MutexLock lock(&mutex_);
  fail_from_ = n;
  fault_ = fault;
}

uint64_t Disk::writes() const {
  base::MutexLock lock(&mutex_);
  return writes_;
}

uint64_t Disk::syncs() const {
  base::MutexLock lock(&mutex_);
  return syncs_;
}

bool Disk::is_full() const {
  base::MutexLock lock(&mutex_);
  return fault_ == Fault::kFull;
}

bool Disk::FailsWrite() {
  base::MutexLock lock(&mutex_);
  const bool due = writes_++ >= fail_from_;
  return due && (fault_ == Fault::kWriteFails || fault_ == Fault::kFull);
}

bool Disk::FailsSync() {
  base::MutexLock lock(&mutex_);
  return syncs_++ >= fail_from_ && fault_ == Fault::kSyncFails;
}

void Disk::Opened(const std::string& path, uint64_t bytes) {
  base::MutexLock lock(&mutex_);
  files_.try_emplace(path, File{.bytes = bytes, .synced = bytes});
}

void Disk::Wrote(const std::string& path, uint64_t bytes) {
  base::MutexLock lock(&mutex_);
  files_[path].bytes += bytes;
}

void Disk::Synced(const std::string& path) {
  base::MutexLock lock(&mutex_);
  files_[path].synced = files_[path].bytes;
}

void Disk::SyncedDirectory(const std::string& directory) {
  base::MutexLock lock(&mutex_);
  for (auto& [path, file] : files_) {
    if (std::filesystem::path(path).parent_path() !=
        std::filesystem::path(directory)) {
      continue;
    }
    file.in_directory = true;
    file.replaced.reset();
  }
}

void Disk::Removed(const std::string& path) {
  base::MutexLock lock(&mutex_);
  files_.erase(path);
}

void Disk::Renamed(const std::string& from, const std::string& to,
                   std::optional<std::string> replaced) {
  base::MutexLock lock(&mutex_);
  File file = files_[from];
  files_.erase(from);
  file.in_directory = false;
  file.replaced = std::move(replaced);
  files_[to] = std::move(file);
}

void Disk::CutPower(const std::string& from, const std::string& to,
                    const std::function<uint64_t(uint64_t)>& keep) {
  base::MutexLock lock(&mutex_);  // Whoever writes meanwhile waits.
  std::filesystem::create_directories(to);
  for (const auto& entry : std::filesystem::directory_iterator(from)) {
    std::optional<std::string> bytes = ContentOf(entry.path());
    const auto known = files_.find(entry.path());
    if (known != files_.end() && bytes) {
      const File& file = known->second;
      if (file.in_directory) {
        bytes->resize(file.synced + keep(file.bytes - file.synced));
      } else {
        bytes = file.replaced;
      }
    }
    if (!bytes) continue;
    std::ofstream(std::filesystem::path(to) / entry.path().filename(),
                  std::ios::binary)
        << *bytes;
  }
  fault_ = Fault::kNone;
}

std::unique_ptr<rocksdb::Env> NewEnvOn(std::shared_ptr<Disk> disk) {
  return std::make_unique<CutEnv>(
      rocksdb::NewCompositeEnv(std::make_shared<CutFileSystem>(disk)));
}

}  // namespace mneme::testing
