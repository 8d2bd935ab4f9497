// service/offline.h: what is done to a data directory that no server has open.

#ifndef MNEME_SERVICE_OFFLINE_H_
#define MNEME_SERVICE_OFFLINE_H_

#include <string>

#include "absl/status/status.h"

namespace mneme::service {

// Where the snapshots of `data_dir` lie unless somebody says otherwise: beside
// it, on the same file system, so that files can be linked.
std::string SnapshotsDirOf(const std::string& data_dir);

// See memory::Restore.
absl::Status RestoreSnapshot(const std::string& snapshot,
                             const std::string& data_dir);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_OFFLINE_H_
