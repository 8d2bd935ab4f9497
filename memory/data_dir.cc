#include "memory/data_dir.h"

#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "memory/files.h"
#include "memory/memory.h"
#include "memory/rocks_store.h"
#include "memory/snapshots.h"

namespace mneme::memory {
namespace {

namespace fs = std::filesystem;

// First file of a restore, and removed last.
constexpr char kRestoring[] = "RESTORING";

std::string Below(const std::string& directory, const std::string& name) {
  return absl::StrCat(directory, "/", name);
}

bool Exists(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

absl::Status Unwritable(const std::string& directory,
                        const std::error_code& error) {
  return base::Error(absl::StatusCode::kPermissionDenied,
                     absl::StrCat("cannot use the directory ", directory, ": ",
                                  error.message()),
                     {.reason = "DATA_DIR_UNWRITABLE"});
}

// Makes `directory` empty but for kRestoring, if it may be.
absl::Status Prepare(const std::string& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  std::vector<fs::path> inside;
  for (fs::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().filename() != kRestoring) inside.push_back(it->path());
  }
  if (error) return Unwritable(directory, error);
  const std::string marker = Below(directory, kRestoring);
  if (!inside.empty() && !Exists(marker)) {
    return base::Error(
        absl::StatusCode::kFailedPrecondition,
        absl::StrCat("the directory ", directory, " is not empty: it holds ",
                     inside.front().filename().string(),
                     "; restore into an empty or a missing one"),
        {.reason = "DATA_DIR_NOT_EMPTY",
         .metadata = {{"directory", directory}}});
  }
  for (const fs::path& path : inside) fs::remove_all(path, error);
  RETURN_IF_ERROR(WriteFile(marker, ""));
  return SyncDirectory(directory);
}

// That what was copied opens, and is of a format that this release reads.
absl::Status TryToOpen(const std::string& directory) {
  const base::RealClock clock;
  ASSIGN_OR_RETURN(auto store, OpenRocksStore(directory));
  return Memory::Open(std::move(store), &clock).status();
}

}  // namespace

absl::Status CheckDataDir(const std::string& directory,
                          MissingDataDir missing) {
  std::error_code error;
  if (missing == MissingDataDir::kRefuse && !fs::exists(directory, error) &&
      !error) {
    return base::Error(
        absl::StatusCode::kNotFound,
        absl::StrCat("there is no data directory ", directory,
                     "; name another with --data, or make one with `mneme "
                     "serve --data` or `mneme --data ... append`"),
        {.reason = "DATA_DIR_MISSING", .metadata = {{"directory", directory}}});
  }
  if (Exists(Below(directory, kRestoring))) {
    return base::Error(
        absl::StatusCode::kFailedPrecondition,
        absl::StrCat("a restore into ", directory,
                     " did not finish; run `mneme restore` again"),
        {.reason = "RESTORE_UNFINISHED",
         .metadata = {{"directory", directory}}});
  }
  if (Exists(Below(directory, kSnapshotFile))) {
    return base::Error(
        absl::StatusCode::kFailedPrecondition,
        absl::StrCat(directory,
                     " is a snapshot, which opening would change; `mneme "
                     "restore` copies it into a data directory"),
        {.reason = "DATA_DIR_IS_SNAPSHOT",
         .metadata = {{"directory", directory}}});
  }
  return absl::OkStatus();
}

absl::Status Restore(const std::string& snapshot,
                     const std::string& directory) {
  ASSIGN_OR_RETURN(const std::vector<std::string> files,
                   FilesOfSnapshot(snapshot));
  RETURN_IF_ERROR(Prepare(directory));
  for (const std::string& name : files) {
    RETURN_IF_ERROR(CopyFile(Below(snapshot, name), Below(directory, name)));
  }
  RETURN_IF_ERROR(SyncDirectory(directory));
  RETURN_IF_ERROR(TryToOpen(directory));
  std::error_code error;
  if (fs::remove(Below(directory, kRestoring), error); error) {
    return Unwritable(directory, error);
  }
  RETURN_IF_ERROR(SyncDirectory(directory));
  return SyncDirectory(fs::canonical(directory, error).parent_path().string());
}

}  // namespace mneme::memory
