#include "client/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "base/utf8.h"

namespace mneme::client {
namespace {

constexpr size_t kReadBytes = 1 << 20;

absl::Status FileError(absl::StatusCode code, const std::string& message,
                       const std::string& path, const std::string& reason) {
  return base::Error(code, message,
                     {.reason = reason,
                      .field = "",
                      .metadata = {{"path", path}},
                      .retry_after = std::nullopt});
}

absl::Status ErrnoError(int error, const std::string& path) {
  const absl::Status status =
      absl::ErrnoToStatus(error, absl::StrCat("cannot read ", path));
  return FileError(status.code(), std::string(status.message()), path,
                   "FILE_UNREADABLE");
}

absl::Status NotText(const std::string& path, const std::string& why) {
  return FileError(absl::StatusCode::kInvalidArgument,
                   absl::StrCat(path, ": ", why), path, "FILE_NOT_TEXT");
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const int file = path == "-" ? ::dup(STDIN_FILENO)
                               : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return ErrnoError(errno, path);
  std::string bytes;
  ssize_t got = 0;
  int error = 0;
  do {
    const size_t size = bytes.size();
    bytes.resize(size + kReadBytes);
    got = ::read(file, bytes.data() + size, kReadBytes);
    error = errno;
    bytes.resize(size + (got > 0 ? static_cast<size_t>(got) : 0));
  } while (got > 0 || (got < 0 && error == EINTR));
  ::close(file);
  if (got < 0 && error == EISDIR) {
    return FileError(absl::StatusCode::kInvalidArgument,
                     absl::StrCat(path, " is a directory; expected a file"),
                     path, "FILE_IS_DIRECTORY");
  }
  if (got < 0) return ErrnoError(error, path);
  return bytes;
}

absl::StatusOr<std::string> ReadTextFile(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(path));
  if (text.empty()) return NotText(path, "the file is empty");
  if (const size_t nul = text.find('\0'); nul != std::string::npos) {
    return NotText(path, absl::StrCat("not a text file: NUL at byte ", nul));
  }
  if (const auto bad = base::FirstInvalidUtf8(text)) {
    return NotText(
        path, absl::StrCat("not a text file: invalid UTF-8 at byte ", *bad));
  }
  if (base::IsBlank(text))
    return NotText(path, "the file holds only white space");
  return text;
}

bool IsRegularFile(const std::string& path) {
  struct stat facts;
  return path != "-" && ::stat(path.c_str(), &facts) == 0 &&
         S_ISREG(facts.st_mode);
}

}  // namespace mneme::client
