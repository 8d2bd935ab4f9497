// service/watched_file.h: a settings file that is read again when it changed.

#ifndef MNEME_SERVICE_WATCHED_FILE_H_
#define MNEME_SERVICE_WATCHED_FILE_H_

#include <sys/stat.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace mneme::service {

// Threads:  any.
class WatchedFile {
 public:
  // How often it looks, at most: a look is one stat().
  static constexpr std::chrono::seconds kInterval{1};
  // More is surely not a settings file.
  static constexpr size_t kBytesMax = size_t{4} << 20;

  // Takes the whole content; an error leaves things as they were.
  using Take = std::function<absl::Status(std::string_view content)>;

  // Lifetime: `clock` outlives it.
  WatchedFile(std::string path, const base::Clock* clock, Take take)
      : path_(std::move(path)), clock_(clock), take_(std::move(take)) {}

  // Gives `take` the content, now. Errors: FAILED_PRECONDITION
  // SETTINGS_UNREADABLE naming the file; take's, with the file's name before.
  absl::Status Load();

  // Loads again when the file is another than it was at the last look and the
  // last look was long ago. A failure is logged, once for each change.
  void Poll();

 private:
  // What differs between two versions of a file, as far as stat() tells.
  struct Version {
    ino_t inode = 0;
    off_t bytes = 0;
    int64_t changed_ns = 0;
    friend bool operator==(const Version&, const Version&) = default;
  };
  Version Look() const;
  absl::Status Read() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  const base::Clock* const clock_;
  const Take take_;
  base::Mutex mutex_;
  Version version_ ABSL_GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point looked_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_WATCHED_FILE_H_
