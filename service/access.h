// service/access.h: who may call, by a file that may change while the server
// runs.

#ifndef MNEME_SERVICE_ACCESS_H_
#define MNEME_SERVICE_ACCESS_H_

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "service/access_table.h"
#include "service/scope.h"
#include "service/watched_file.h"

namespace mneme::service {

// Threads:  any.
class Access {
 public:
  // How long a change of the file may go unseen.
  static constexpr std::chrono::seconds kReread = WatchedFile::kInterval;

  // Reads the file.
  // Errors:   those of ReadSettingsFile; INVALID_ARGUMENT on `tokens` when it
  //           is not of the form that access_table.h shows.
  // Lifetime: `clock` outlives this.
  static absl::StatusOr<std::unique_ptr<Access>> Open(const std::string& path,
                                                      const base::Clock* clock);

  // Who calls, by the file as it is now. A file that cannot be read or does not
  // parse changes nothing, and is logged as an error, once.
  // Errors:   those of AccessTable::Authenticate.
  absl::StatusOr<Caller> Authenticate(const Credentials& credentials);

 private:
  Access(const std::string& path, const base::Clock* clock);
  absl::Status Take(std::string_view content);
  std::shared_ptr<const AccessTable> Current();

  const base::Clock* const clock_;
  WatchedFile file_;
  base::Mutex mutex_;
  std::shared_ptr<const AccessTable> table_ ABSL_GUARDED_BY(mutex_);
};

// Errors:   PERMISSION_DENIED SCOPE_MISSING, naming scope and namespace; the
//           same whether or not anything is there.
absl::Status CheckPermitted(const Caller& caller, Scope scope,
                            std::string_view space);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_ACCESS_H_
