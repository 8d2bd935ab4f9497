#include "memory/rocks_store.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/snapshot.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"

namespace mneme::memory {
namespace {

// Values above this live in blob files, so that compaction moves their
// addresses and not their bytes. A block of one bank is well above it, a tail
// record of one decoded token mostly below.
constexpr uint64_t kBlobBytesMin = 4 << 10;
// Rows are held in memory by their session; this cache serves text and opening.
constexpr size_t kBlockCacheBytes = 32 << 20;
constexpr size_t kWriteBufferBytes = 32 << 20;
// Of free room for what opening writes beside the logs' contents.
constexpr uint64_t kOpeningBytes = 1 << 20;

rocksdb::Slice ToSlice(std::string_view text) {
  return {text.data(), text.size()};
}

std::string_view ToView(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

absl::Status Translate(const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  base::ErrorDetail detail;
  absl::StatusCode code = absl::StatusCode::kUnavailable;
  if (status.IsNotFound()) {
    code = absl::StatusCode::kNotFound;
    detail.reason = "RECORD_NOT_FOUND";
  } else if (status.IsManualCompactionPaused()) {
    code = absl::StatusCode::kCancelled;
    detail.reason = "STORE_CLOSING";
  } else if (status.IsNoSpace()) {
    code = absl::StatusCode::kResourceExhausted;
    detail.reason = "DISK_FULL";
  } else if (status.IsCorruption() ||
             status.subcode() == rocksdb::Status::SubCode::kPathNotFound) {
    code = absl::StatusCode::kDataLoss;
    detail.reason = "STORE_CORRUPT";
  } else {
    detail.reason = "STORE_FAILED";
  }
  return base::Error(code, absl::StrCat("store: ", status.ToString()), detail);
}

rocksdb::Options MakeOptions() {
  rocksdb::Options options;
  options.create_if_missing = true;
  // A log that somebody deleted is missed.
  options.track_and_verify_wals_in_manifest = true;
  options.enable_blob_files = true;
  options.min_blob_size = kBlobBytesMin;
  // Deleted blocks leave the disk as blob files age.
  options.enable_blob_garbage_collection = true;
  options.compression = rocksdb::kNoCompression;  // Keys and values do not.
  options.write_buffer_size = kWriteBufferBytes;
  options.max_write_buffer_number = 2;
  options.max_open_files = 256;
  options.keep_log_file_num = 2;
  options.max_log_file_size = 1 << 20;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.paranoid_checks = true;
  // A torn record at the end of the log is a write that was never acknowledged;
  // one in its midst is damage, and stopping there in silence would lose what
  // was acknowledged behind it.
  options.wal_recovery_mode =
      rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(kBlockCacheBytes);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

absl::Status ScanFrom(
    rocksdb::DB& db, const rocksdb::Snapshot* snapshot,
    const std::string& begin, const std::string& end,
    const std::function<bool(std::string_view, std::string_view)>& visit) {
  rocksdb::ReadOptions options;
  const rocksdb::Slice bound = ToSlice(end);
  options.snapshot = snapshot;
  options.iterate_upper_bound = &bound;
  options.fill_cache = false;
  options.readahead_size = 2 << 20;
  const std::unique_ptr<rocksdb::Iterator> it(db.NewIterator(options));
  for (it->Seek(ToSlice(begin)); it->Valid(); it->Next()) {
    if (!visit(ToView(it->key()), ToView(it->value()))) break;
  }
  return Translate(it->status());
}

// Opening writes what the write-ahead logs hold into tables. RocksDB, as it is
// packaged, aborts when there is no room for that.
absl::Status CheckRoom(const std::string& directory) {
  uint64_t logs = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end;
       !error && it != end; it.increment(error)) {
    std::error_code gone;
    const uint64_t bytes = it->file_size(gone);
    if (!gone && it->path().extension() == ".log") logs += bytes;
  }
  if (logs == 0) return absl::OkStatus();
  const uint64_t needed = logs + logs / 4 + kOpeningBytes;
  const auto space = std::filesystem::space(directory, error);
  if (error || space.available >= needed) return absl::OkStatus();
  return base::Error(
      absl::StatusCode::kResourceExhausted,
      absl::StrCat("cannot open ", directory, ": its disk has ",
                   space.available, " bytes free; opening needs ", needed),
      {.reason = "DISK_FULL", .metadata = {{"directory", directory}}});
}

class RocksView final : public StoreView {
 public:
  explicit RocksView(rocksdb::DB* db) : db_(db), snapshot_(db->GetSnapshot()) {}
  ~RocksView() override { db_->ReleaseSnapshot(snapshot_); }

  absl::StatusOr<std::string> Read(const std::string& key) const override {
    rocksdb::ReadOptions options;
    options.snapshot = snapshot_;
    std::string value;
    RETURN_IF_ERROR(Translate(db_->Get(options, key, &value)));
    return value;
  }

  absl::Status Scan(
      const std::string& begin, const std::string& end,
      const std::function<bool(std::string_view, std::string_view)>& visit)
      const override {
    return ScanFrom(*db_, snapshot_, begin, end, visit);
  }

 private:
  rocksdb::DB* const db_;
  const rocksdb::Snapshot* const snapshot_;
};

// Keeps the order of the write-ahead log, and whether a write, or work in the
// background on which writes depend, has failed.
class Failure final : public rocksdb::EventListener {
 public:
  bool happened() const { return happened_.load(); }
  void Note() { happened_ = true; }

  absl::Status Refusal() const {
    return base::Error(
        absl::StatusCode::kUnavailable,
        "store: an earlier write failed, so what is on disk is not known; "
        "reopen the server to write again (reading goes on)",
        {.reason = "STORE_FAILED"});
  }

  void OnBackgroundError(rocksdb::BackgroundErrorReason /*reason*/,
                         rocksdb::Status* status) override {
    if (status->severity() >= rocksdb::Status::Severity::kHardError) Note();
  }
  // A new file of the write-ahead log begins, and nothing is in it yet: what is
  // in the old one goes to the disk first, or a power failure could take it and
  // leave later writes, and with a hole in its log a session does not open.
  void OnMemTableSealed(const rocksdb::MemTableInfo& /*info*/) override {
    rocksdb::DB* const db = db_.load();
    if (db != nullptr && !db->SyncWAL().ok()) Note();
  }
  // Lifetime: `db` must not be written to after it is taken away (nullptr).
  void Watch(rocksdb::DB* db) { db_ = db; }
  // Only reopening says what is on the disk.
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason /*reason*/,
                            rocksdb::Status /*status*/,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }

 private:
  std::atomic<bool> happened_{false};
  std::atomic<rocksdb::DB*> db_{nullptr};
};

class RocksStore final : public Store {
 public:
  RocksStore(std::unique_ptr<rocksdb::DB> db, std::shared_ptr<Failure> failure)
      : failure_(std::move(failure)), db_(std::move(db)) {
    failure_->Watch(db_.get());
  }
  ~RocksStore() override { failure_->Watch(nullptr); }

  absl::Status Write(const WriteBatch& batch, bool sync) override {
    RETURN_IF_ERROR(Health());
    rocksdb::WriteBatch rocks;
    for (const WriteBatch::Operation& operation : batch.operations) {
      rocksdb::Status added;
      switch (operation.kind) {
        case WriteBatch::Operation::Kind::kPut:
          added = rocks.Put(operation.key, operation.value);
          break;
        case WriteBatch::Operation::Kind::kDelete:
          added = rocks.Delete(operation.key);
          break;
        case WriteBatch::Operation::Kind::kDeleteRange:
          added = rocks.DeleteRange(operation.key, operation.value);
          break;
      }
      RETURN_IF_ERROR(Translate(added));
    }
    rocksdb::WriteOptions options;
    options.sync = sync;
    const rocksdb::Status status = db_->Write(options, &rocks);
    if (!status.ok()) failure_->Note();
    RETURN_IF_ERROR(Translate(status));
    return failure_->happened() ? failure_->Refusal() : absl::OkStatus();
  }

  absl::StatusOr<std::string> Read(const std::string& key) const override {
    std::string value;
    RETURN_IF_ERROR(Translate(db_->Get(rocksdb::ReadOptions(), key, &value)));
    return value;
  }

  absl::Status Scan(
      const std::string& begin, const std::string& end,
      const std::function<bool(std::string_view, std::string_view)>& visit)
      const override {
    return ScanFrom(*db_, nullptr, begin, end, visit);
  }

  std::unique_ptr<const StoreView> Freeze() const override {
    return std::make_unique<RocksView>(db_.get());
  }

  absl::Status Checkpoint(const std::string& directory) override {
    std::error_code error;
    if (std::filesystem::exists(directory, error)) {
      return base::Error(absl::StatusCode::kAlreadyExists,
                         absl::StrCat("store: cannot write a checkpoint into ",
                                      directory, ", which exists already"),
                         {.reason = "DIRECTORY_EXISTS"});
    }
    RETURN_IF_ERROR(Health());  // As in Compact.
    rocksdb::Checkpoint* raw = nullptr;
    RETURN_IF_ERROR(Translate(rocksdb::Checkpoint::Create(db_.get(), &raw)));
    const std::unique_ptr<rocksdb::Checkpoint> checkpoint(raw);
    // Flushes first, so what was acknowledged is in synced files, and hard
    // links those where the file system allows.
    return Translate(checkpoint->CreateCheckpoint(directory));
  }

  absl::Status Compact(const std::string& begin,
                       const std::string& end) override {
    // It would flush, and RocksDB aborts when a flush that failed is tried
    // anew.
    RETURN_IF_ERROR(Health());
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction =
        rocksdb::BottommostLevelCompaction::kForce;
    options.blob_garbage_collection_policy =
        rocksdb::BlobGarbageCollectionPolicy::kForce;
    options.blob_garbage_collection_age_cutoff = 1.0;
    const rocksdb::Slice first = ToSlice(begin);
    const rocksdb::Slice last = ToSlice(end);
    return Translate(db_->CompactRange(options, &first, &last));
  }

  uint64_t Moment() const override { return db_->GetLatestSequenceNumber(); }

  bool HasViewBefore(uint64_t moment) const override {
    uint64_t oldest = 0;  // 0: there is none.
    db_->GetIntProperty("rocksdb.oldest-snapshot-sequence", &oldest);
    return oldest != 0 && oldest < moment;
  }

  void Interrupt() override { db_->DisableManualCompaction(); }

  uint64_t ApproximateBytes() const override {
    uint64_t total = 0;
    for (const char* name :
         {"rocksdb.total-sst-files-size", "rocksdb.total-blob-file-size",
          "rocksdb.cur-size-all-mem-tables"}) {
      uint64_t bytes = 0;
      if (db_->GetIntProperty(name, &bytes)) total += bytes;
    }
    return total;
  }

  absl::Status Health() const override {
    return failure_->happened() ? failure_->Refusal() : absl::OkStatus();
  }

 private:
  const std::shared_ptr<Failure> failure_;
  const std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenRocksStore(
    const std::string& directory, rocksdb::Env* env) {
  std::error_code error;
  if (std::filesystem::exists(directory, error) &&
      !std::filesystem::is_directory(directory, error)) {
    return base::InvalidField("data directory", directory, "a directory");
  }
  std::filesystem::create_directories(directory, error);
  if (error) {
    return base::Error(absl::StatusCode::kPermissionDenied,
                       absl::StrCat("cannot create the data directory ",
                                    directory, ": ", error.message()),
                       {.reason = "DATA_DIR_UNWRITABLE"});
  }
  RETURN_IF_ERROR(CheckRoom(directory));
  rocksdb::Options options = MakeOptions();
  if (env != nullptr) options.env = env;
  const auto failure = std::make_shared<Failure>();
  options.listeners.push_back(failure);
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(options, directory, &db);
  const std::string message = status.ToString();
  const auto says = [&](std::string_view words) {
    return message.find(words) != std::string::npos;
  };
  if (says("While lock file") || says("lock hold by current process")) {
    return base::Error(
        absl::StatusCode::kFailedPrecondition,
        absl::StrCat("the data directory ", directory,
                     " is open in another process; stop it, or ask it with "
                     "--server"),
        {.reason = "DATA_DIR_IN_USE", .metadata = {{"directory", directory}}});
  }
  if (says("Permission denied")) {
    return base::Error(absl::StatusCode::kPermissionDenied,
                       absl::StrCat("cannot open ", directory, ": ", message),
                       {.reason = "DATA_DIR_UNWRITABLE"});
  }
  if (!status.ok()) {
    return base::Annotate(Translate(status),
                          absl::StrCat("cannot open ", directory));
  }
  return std::make_unique<RocksStore>(std::unique_ptr<rocksdb::DB>(db),
                                      failure);
}

}  // namespace mneme::memory
