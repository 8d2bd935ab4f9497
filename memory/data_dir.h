// memory/data_dir.h: a data directory as a whole: opened, and restored.

#ifndef MNEME_MEMORY_DATA_DIR_H_
#define MNEME_MEMORY_DATA_DIR_H_

#include <string>

#include "absl/status/status.h"

namespace mneme::memory {

enum class MissingDataDir { kCreate, kRefuse };

// Whether a store may be opened in `directory`.
// Errors: NOT_FOUND DATA_DIR_MISSING with kRefuse; FAILED_PRECONDITION
// DATA_DIR_IS_SNAPSHOT, since opening would change it; FAILED_PRECONDITION
// RESTORE_UNFINISHED after a crash of Restore, which is to be run again.
absl::Status CheckDataDir(const std::string& directory, MissingDataDir missing);

// Copies the snapshot in `snapshot` into `directory`, which is missing, empty,
// or holds what a restore left that did not finish. The copy shares no bytes
// with the snapshot, is on disk, and opens; until then `directory` is refused
// by CheckDataDir.
// Errors: FAILED_PRECONDITION DATA_DIR_NOT_EMPTY; PERMISSION_DENIED
// DATA_DIR_UNWRITABLE; those of FilesOfSnapshot, CopyFile, OpenRocksStore and
// Memory::Open (FORMAT_TOO_NEW). What was copied then stays, and restoring
// again replaces it.
absl::Status Restore(const std::string& snapshot, const std::string& directory);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_DATA_DIR_H_
