// memory/files.h: files that are on disk when a call returns.

#ifndef MNEME_MEMORY_FILES_H_
#define MNEME_MEMORY_FILES_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mneme::memory {

// Writes `bytes` as the whole of `path`, in place.
// Errors: as all below, RESOURCE_EXHAUSTED DISK_FULL, PERMISSION_DENIED
// FILE_DENIED, NOT_FOUND FILE_NOT_FOUND, else UNAVAILABLE FILE_FAILED; the
// message names the file.
absl::Status WriteFile(const std::string& path, std::string_view bytes);

// REQUIRES: a file that fits the memory.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// Copies the bytes; `to` shares nothing with `from`.
absl::Status CopyFile(const std::string& from, const std::string& to);

// Names that were made, renamed or removed in `directory` stay so.
absl::Status SyncDirectory(const std::string& directory);

absl::Status Rename(const std::string& from, const std::string& to);

// Reads `path` from its start in pieces, each of which begins with the last
// `overlap` bytes of the one before; `visit` gets the place of the piece's
// first byte and returns false to stop.
absl::Status StreamFile(
    const std::string& path, size_t overlap,
    const std::function<bool(std::string_view piece, uint64_t offset)>& visit);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_FILES_H_
