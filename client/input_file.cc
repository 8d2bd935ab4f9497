#include "client/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "base/utf8.h"

namespace mneme::client {
namespace {

constexpr size_t kReadBytes = 1 << 20;
// The file is held in memory while it is sent.
constexpr size_t kFileBytesMax = size_t{4} << 30;

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

// Reads all of `path`; `check` sees what came so far after each piece.
absl::StatusOr<std::string> ReadChecked(
    const std::string& path,
    const std::function<absl::Status(std::string_view)>& check) {
  const int file = path == "-" ? ::dup(STDIN_FILENO)
                               : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return ErrnoError(errno, path);
  std::string bytes;
  ssize_t got = 0;
  int error = 0;
  absl::Status checked;
  do {
    const size_t size = bytes.size();
    bytes.resize(size + kReadBytes);
    got = ::read(file, bytes.data() + size, kReadBytes);
    error = errno;
    bytes.resize(size + (got > 0 ? static_cast<size_t>(got) : 0));
    if (bytes.size() > kFileBytesMax) {
      checked = FileError(absl::StatusCode::kInvalidArgument,
                          absl::StrCat(path, " is larger than ", kFileBytesMax,
                                       " bytes; split it"),
                          path, "FILE_TOO_LARGE");
    } else {
      checked = check(bytes);
    }
  } while (checked.ok() && (got > 0 || (got < 0 && error == EINTR)));
  ::close(file);
  RETURN_IF_ERROR(checked);
  if (got < 0 && error == EISDIR) {
    return FileError(absl::StatusCode::kInvalidArgument,
                     absl::StrCat(path, " is a directory; expected a file"),
                     path, "FILE_IS_DIRECTORY");
  }
  if (got < 0) return ErrnoError(error, path);
  return bytes;
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  return ReadChecked(path, [](std::string_view) { return absl::OkStatus(); });
}

absl::StatusOr<std::string> ReadTextFile(const std::string& path) {
  // An endless file of zeros must not be read to its end.
  size_t seen = 0;
  const auto has_no_nul = [&](std::string_view text) {
    const size_t nul = text.find('\0', seen);
    seen = text.size();
    return nul == std::string_view::npos
               ? absl::OkStatus()
               : NotText(path,
                         absl::StrCat("not a text file: NUL at byte ", nul));
  };
  ASSIGN_OR_RETURN(std::string text, ReadChecked(path, has_no_nul));
  if (text.empty()) return NotText(path, "the file is empty");
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
