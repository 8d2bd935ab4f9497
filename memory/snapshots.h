// memory/snapshots.h: copies of a data directory, each of one moment.
// A snapshot is a directory with the store's files and the file SNAPSHOT, which
// lists them. It is made under a hidden name and renamed when it is whole, so a
// crash leaves no half snapshot. On the data directory's file system the files
// that never change are hard links: a snapshot costs disk only as the store
// moves on.

#ifndef MNEME_MEMORY_SNAPSHOTS_H_
#define MNEME_MEMORY_SNAPSHOTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "memory/store.h"

namespace mneme::memory {

// Last of a snapshot's files, so that a directory with it is whole.
inline constexpr char kSnapshotFile[] = "SNAPSHOT";

struct Snapshot {
  std::string name = {};
  std::string directory = {};
  int64_t create_time_us = 0;
  uint64_t bytes = 0;  // Of its files, linked or not.
};

// Threads: one at a time.
class Snapshots {
 public:
  // Snapshots below `directory`, which is made with the first one.
  explicit Snapshots(std::string directory);

  // What `store` holds, with everything that was written before the call, while
  // writes go on. `name`: 1 to 63 of [a-z0-9._-], the first a letter or digit.
  // Removes what a crash left of an earlier one.
  // Errors: INVALID_ARGUMENT; ALREADY_EXISTS SNAPSHOT_EXISTS; PERMISSION_DENIED
  // SNAPSHOTS_UNWRITABLE; the store's. No snapshot is there then.
  absl::StatusOr<Snapshot> Create(Store& store, const std::string& name,
                                  int64_t now_us);

  // Ordered by name; none when the directory is missing. A directory that is no
  // whole snapshot is passed over.
  // Errors: PERMISSION_DENIED SNAPSHOTS_UNREADABLE.
  absl::StatusOr<std::vector<Snapshot>> List() const;

  // Also a damaged snapshot, but nothing without the file SNAPSHOT.
  // Errors: INVALID_ARGUMENT; NOT_FOUND SNAPSHOT_NOT_FOUND; PERMISSION_DENIED.
  absl::Status Delete(const std::string& name);

  const std::string& directory() const { return directory_; }

 private:
  const std::string directory_;
};

// The snapshot that lies in `directory`, whole.
// Errors: NOT_FOUND NOT_A_SNAPSHOT; DATA_LOSS SNAPSHOT_DAMAGED naming a file
// that is missing or has another size; FAILED_PRECONDITION FORMAT_TOO_NEW.
absl::StatusOr<Snapshot> ReadSnapshot(const std::string& directory);

// The names of its files, SNAPSHOT not among them. Errors: as ReadSnapshot.
absl::StatusOr<std::vector<std::string>> FilesOfSnapshot(
    const std::string& directory);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_SNAPSHOTS_H_
