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

namespace mneme::service {

// Threads:  any.
class Access {
 public:
  // How long a change of the file may go unseen.
  static constexpr std::chrono::seconds kReread{1};

  // Reads the file.
  // Errors:   INVALID_ARGUMENT on `tokens` when it is missing, not of the form
  //           that access_table.h shows, or larger than 16 MiB.
  // Lifetime: `clock` outlives this.
  static absl::StatusOr<std::unique_ptr<Access>> Open(const std::string& path,
                                                      const base::Clock* clock);

  // Who calls, by the file as it is now. A file that cannot be read or does not
  // parse changes nothing, and is logged as an error, once.
  // Errors:   those of AccessTable::Authenticate.
  absl::StatusOr<Caller> Authenticate(const Credentials& credentials);

 private:
  Access(std::string path, const base::Clock* clock)
      : path_(std::move(path)), clock_(clock) {}
  std::shared_ptr<const AccessTable> Current();
  // Takes a table, or the reason against it, from the file's new bytes.
  absl::Status Reread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  const base::Clock* const clock_;
  base::Mutex mutex_;
  std::shared_ptr<const AccessTable> table_ ABSL_GUARDED_BY(mutex_);
  std::string bytes_ ABSL_GUARDED_BY(mutex_);  // Of the file, as last seen.
  bool readable_ ABSL_GUARDED_BY(mutex_) = true;
  std::chrono::steady_clock::time_point read_at_ ABSL_GUARDED_BY(mutex_);
};

// Errors:   PERMISSION_DENIED SCOPE_MISSING, naming scope and namespace; the
//           same whether or not anything is there.
absl::Status CheckPermitted(const Caller& caller, Scope scope,
                            std::string_view space);

// The whole of a file of at most 16 MiB. Errors: INVALID_ARGUMENT on `tokens`.
absl::StatusOr<std::string> ReadTokensFile(const std::string& path);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_ACCESS_H_
