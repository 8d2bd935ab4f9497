// memory/store.h: the one narrow door to the disk.
// Everything durable goes through these few calls, so that tests can make the
// disk lie and another engine can stand behind them.

#ifndef MNEME_MEMORY_STORE_H_
#define MNEME_MEMORY_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mneme::memory {

// Changes that happen together or not at all, applied in order.
struct WriteBatch {
  struct Operation {
    enum class Kind { kPut, kDelete, kDeleteRange } kind;
    std::string key;
    std::string value;  // kPut: the value. kDeleteRange: end of the range.
  };
  std::vector<Operation> operations;

  void Put(std::string key, std::string value) {
    operations.push_back(
        {Operation::Kind::kPut, std::move(key), std::move(value)});
  }
  void Delete(std::string key) {
    operations.push_back({Operation::Kind::kDelete, std::move(key), {}});
  }
  // Deletes [begin, end).
  void DeleteRange(std::string begin, std::string end) {
    operations.push_back(
        {Operation::Kind::kDeleteRange, std::move(begin), std::move(end)});
  }
};

// What a store held at one moment.
// Threads:  any.
// Lifetime: the store outlives it. While it lives, what is deleted stays on
// disk, so hold it no longer than needed.
class StoreView {
 public:
  virtual ~StoreView() = default;

  // Errors: NOT_FOUND; DATA_LOSS.
  virtual absl::StatusOr<std::string> Read(const std::string& key) const = 0;

  // Visits [begin, end) in order, as of one moment, until `visit` returns
  // false. Errors: DATA_LOSS; what was visited before it is sound.
  virtual absl::Status Scan(
      const std::string& begin, const std::string& end,
      const std::function<bool(std::string_view key, std::string_view value)>&
          visit) const = 0;
};

// An ordered map from byte strings to byte strings.
// Threads: any.
class Store : public StoreView {
 public:
  // Applies `batch`. With `sync` it returns after the write-ahead log is on
  // disk, else after the operating system has it.
  // Errors: RESOURCE_EXHAUSTED DISK_FULL; UNAVAILABLE STORE_FAILED. After a
  // failed write every further one is refused until the store is reopened,
  // since nobody knows what reached the disk.
  virtual absl::Status Write(const WriteBatch& batch, bool sync) = 0;

  // What the store holds now. Writes go on, and are not seen through it.
  virtual std::unique_ptr<const StoreView> Freeze() const = 0;

  // Writes a store with what this one holds, as of one moment, into
  // `directory`: everything that was written before the call, synced or not,
  // and no half batch. Writes go on.
  // Errors: ALREADY_EXISTS when `directory` exists; DISK_FULL; STORE_FAILED.
  // Something may then be left at `directory` or beside it, at
  // "`directory`.tmp".
  virtual absl::Status Checkpoint(const std::string& directory) = 0;

  // Grows with every write. A view that was frozen at an earlier moment keeps
  // on the disk what was deleted until this one.
  virtual uint64_t Moment() const = 0;
  virtual bool HasViewBefore(uint64_t moment) const = 0;

  // Rewrites [begin, end) so that deleted bytes leave the disk. Errors:
  // CANCELLED after Interrupt; the store's.
  virtual absl::Status Compact(const std::string& begin,
                               const std::string& end) = 0;

  // Every Compact, of now and later, ends soon: the store is to be closed.
  virtual void Interrupt() = 0;

  // Bytes on disk, roughly.
  virtual uint64_t ApproximateBytes() const = 0;

  // What every further Write says after one failed; else OK.
  virtual absl::Status Health() const = 0;
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_STORE_H_
