// service/watched_file.h: a settings file that is read again when it changed.

#ifndef MNEME_SERVICE_WATCHED_FILE_H_
#define MNEME_SERVICE_WATCHED_FILE_H_

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace mneme::service {

// More is surely not a settings file.
inline constexpr size_t kSettingsBytesMax = size_t{16} << 20;

// The whole file. Errors: FAILED_PRECONDITION SETTINGS_UNREADABLE naming the
// file, also when it is larger than that.
absl::StatusOr<std::string> ReadSettingsFile(const std::string& path);

// Threads:  any.
class WatchedFile {
 public:
  // How often it looks, at most.
  static constexpr std::chrono::seconds kInterval{1};

  // Takes the whole content; an error leaves things as they were.
  using Take = std::function<absl::Status(std::string_view content)>;

  // Lifetime: `clock` outlives it.
  WatchedFile(std::string path, const base::Clock* clock, Take take)
      : path_(std::move(path)), clock_(clock), take_(std::move(take)) {}

  // Gives `take` the content, now. Errors: ReadSettingsFile's; take's, with the
  // file's name before.
  absl::Status Load();

  // Loads again when the content is another than at the last look and the last
  // look was long ago. A file that cannot be read or is refused is logged as an
  // error, once; the former is tried again at every look.
  void Poll();

 private:
  absl::Status TakeContent() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  const base::Clock* const clock_;
  const Take take_;
  base::Mutex mutex_;
  // As last seen, also when it was refused. Compared itself: two versions may
  // agree in all that stat() tells.
  std::string content_ ABSL_GUARDED_BY(mutex_);
  bool readable_ ABSL_GUARDED_BY(mutex_) = true;
  std::chrono::steady_clock::time_point looked_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_WATCHED_FILE_H_
