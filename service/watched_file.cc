#include "service/watched_file.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace mneme::service {

absl::StatusOr<std::string> ReadSettingsFile(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string content;
  std::array<char, 1 << 16> piece;
  while (file && content.size() <= kSettingsBytesMax) {
    file.read(piece.data(), piece.size());
    content.append(piece.data(), static_cast<size_t>(file.gcount()));
  }
  const bool too_large = content.size() > kSettingsBytesMax;
  if (file.eof() && !too_large) return content;
  return base::Error(
      absl::StatusCode::kFailedPrecondition,
      absl::StrCat("cannot read ", path, ": ",
                   too_large
                       ? absl::StrCat("more than ", kSettingsBytesMax, " bytes")
                       : std::strerror(errno)),
      {.reason = "SETTINGS_UNREADABLE"});
}

absl::Status WatchedFile::Load() {
  base::MutexLock lock(&mutex_);
  looked_ = clock_->Ticks();
  ASSIGN_OR_RETURN(content_, ReadSettingsFile(path_));
  return TakeContent();
}

void WatchedFile::Poll() {
  absl::Status taken;
  {
    base::MutexLock lock(&mutex_);
    const auto now = clock_->Ticks();
    if (now - looked_ < kInterval) return;
    looked_ = now;
    absl::StatusOr<std::string> content = ReadSettingsFile(path_);
    const bool was_readable = std::exchange(readable_, content.ok());
    if (content.ok() ? *content == content_ : !was_readable) return;
    taken = content.status();
    if (content.ok()) {
      content_ = *std::move(content);
      taken = TakeContent();
    }
  }
  if (taken.ok()) {
    base::Log(base::LogLevel::kInfo, "settings_read", {{"file", path_}});
  } else {
    base::Log(base::LogLevel::kError, "settings_refused",
              {{"file", path_}, {"error", std::string(taken.message())}});
  }
}

absl::Status WatchedFile::TakeContent() {
  const absl::Status taken = take_(content_);
  return taken.ok() ? taken : base::Annotate(taken, path_);
}

}  // namespace mneme::service
