#include "service/offline.h"

#include <filesystem>

#include "base/log.h"
#include "memory/data_dir.h"

namespace mneme::service {

std::string SnapshotsDirOf(const std::string& data_dir) {
  std::filesystem::path path =
      std::filesystem::path(data_dir).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // "dir/".
  if (path.filename() == "." || path.filename() == "..") {
    std::error_code error;
    path = std::filesystem::absolute(path, error).lexically_normal();
    if (!path.has_filename()) path = path.parent_path();
  }
  return path.string() + "-snapshots";
}

absl::Status RestoreSnapshot(const std::string& snapshot,
                             const std::string& data_dir) {
  base::SetLogLevel(base::LogLevel::kWarning);
  return memory::Restore(snapshot, data_dir);
}

}  // namespace mneme::service
