#include "service/watched_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/log.h"

namespace mneme::service {

absl::Status WatchedFile::Load() {
  base::MutexLock lock(&mutex_);
  looked_ = clock_->Ticks();
  // Before the content: a change meanwhile is seen at the next look.
  version_ = Look();
  return Read();
}

void WatchedFile::Poll() {
  absl::Status read;
  {
    base::MutexLock lock(&mutex_);
    const auto now = clock_->Ticks();
    if (now - looked_ < kInterval) return;
    looked_ = now;
    const Version version = Look();
    if (version == version_) return;
    version_ = version;
    read = Read();
  }
  if (read.ok()) {
    base::Log(base::LogLevel::kInfo, "settings_read", {{"file", path_}});
  } else {
    base::Log(base::LogLevel::kError, "settings_refused",
              {{"file", path_}, {"error", std::string(read.message())}});
  }
}

WatchedFile::Version WatchedFile::Look() const {
  struct stat status = {};
  if (stat(path_.c_str(), &status) != 0) return {};
  return {.inode = status.st_ino,
          .bytes = status.st_size,
          .changed_ns = int64_t{status.st_mtim.tv_sec} * 1'000'000'000 +
                        status.st_mtim.tv_nsec};
}

absl::Status WatchedFile::Read() {
  errno = 0;
  std::ifstream file(path_, std::ios::binary);
  std::string content(kBytesMax + 1, '\0');
  file.read(content.data(), static_cast<std::streamsize>(content.size()));
  if (!file.eof()) {
    return base::Error(
        absl::StatusCode::kFailedPrecondition,
        absl::StrCat("cannot read ", path_, ": ",
                     file ? absl::StrCat("more than ", kBytesMax, " bytes")
                          : std::strerror(errno)),
        {.reason = "SETTINGS_UNREADABLE"});
  }
  content.resize(static_cast<size_t>(file.gcount()));
  const absl::Status taken = take_(content);
  return taken.ok() ? taken : base::Annotate(taken, path_);
}

}  // namespace mneme::service
