#include "memory/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"

namespace mneme::memory {
namespace {

constexpr size_t kPieceBytes = 1 << 20;

// What errno says about `path`, which could not be `done`.
absl::Status Failed(std::string_view done, const std::string& path) {
  const int number = errno;
  const std::string message =
      absl::StrCat("cannot ", std::string(done), " ", path, ": ",
                   std::generic_category().message(number));
  switch (number) {
    case ENOSPC:
    case EDQUOT:
      return base::Error(absl::StatusCode::kResourceExhausted, message,
                         {.reason = "DISK_FULL"});
    case EACCES:
    case EPERM:
    case EROFS:
      return base::Error(absl::StatusCode::kPermissionDenied, message,
                         {.reason = "FILE_DENIED"});
    case ENOENT:
      return base::Error(absl::StatusCode::kNotFound, message,
                         {.reason = "FILE_NOT_FOUND"});
    default:
      return base::Error(absl::StatusCode::kUnavailable, message,
                         {.reason = "FILE_FAILED"});
  }
}

// An open file, closed at the end.
class File {
 public:
  File(std::string path, int flags) : path_(std::move(path)) {
    do {
      file_ = ::open(path_.c_str(), flags | O_CLOEXEC, 0644);
    } while (file_ < 0 && errno == EINTR);
    if (file_ < 0) opened_ = Failed("open", path_);
  }
  ~File() {
    if (file_ >= 0) ::close(file_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const absl::Status& opened() const { return opened_; }

  absl::Status Write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return Failed("write", path_);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return absl::OkStatus();
  }

  // Fills up to `size` bytes; fewer only at the end of the file.
  absl::StatusOr<size_t> Read(char* into, size_t size) {
    size_t filled = 0;
    while (filled < size) {
      const ssize_t got = ::read(file_, into + filled, size - filled);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Failed("read", path_);
      if (got == 0) break;
      filled += static_cast<size_t>(got);
    }
    return filled;
  }

  absl::Status Sync() {
    return ::fsync(file_) == 0 ? absl::OkStatus() : Failed("sync", path_);
  }

 private:
  const std::string path_;
  int file_ = -1;
  absl::Status opened_;
};

}  // namespace

absl::Status WriteFile(const std::string& path, std::string_view bytes) {
  File file(path, O_WRONLY | O_CREAT | O_TRUNC);
  RETURN_IF_ERROR(file.opened());
  RETURN_IF_ERROR(file.Write(bytes));
  return file.Sync();
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::string bytes;
  RETURN_IF_ERROR(StreamFile(path, 0, [&](std::string_view piece, uint64_t) {
    bytes.append(piece);
    return true;
  }));
  return bytes;
}

absl::Status CopyFile(const std::string& from, const std::string& to) {
  File out(to, O_WRONLY | O_CREAT | O_EXCL);
  RETURN_IF_ERROR(out.opened());
  absl::Status written;
  RETURN_IF_ERROR(StreamFile(from, 0, [&](std::string_view piece, uint64_t) {
    written = out.Write(piece);
    return written.ok();
  }));
  RETURN_IF_ERROR(written);
  return out.Sync();
}

absl::Status SyncDirectory(const std::string& directory) {
  File file(directory, O_RDONLY | O_DIRECTORY);
  RETURN_IF_ERROR(file.opened());
  return file.Sync();
}

absl::Status Rename(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
  return Failed("rename", absl::StrCat(from, " to ", to));
}

absl::Status StreamFile(
    const std::string& path, size_t overlap,
    const std::function<bool(std::string_view, uint64_t)>& visit) {
  File file(path, O_RDONLY);
  RETURN_IF_ERROR(file.opened());
  std::vector<char> buffer(overlap + kPieceBytes);
  size_t kept = 0;
  uint64_t offset = 0;  // Of the buffer's first byte.
  for (;;) {
    ASSIGN_OR_RETURN(const size_t got,
                     file.Read(buffer.data() + kept, kPieceBytes));
    if (got == 0) return absl::OkStatus();
    const size_t held = kept + got;
    if (!visit({buffer.data(), held}, offset)) return absl::OkStatus();
    kept = std::min(overlap, held);
    offset += held - kept;
    std::memmove(buffer.data(), buffer.data() + held - kept, kept);
  }
}

}  // namespace mneme::memory
