#include "service/access.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"

namespace mneme::service {
namespace {

// No namespace is longer; of a longer name a part may not be UTF-8.
constexpr size_t kNamespaceBytesMax = 63;

}  // namespace

absl::StatusOr<std::unique_ptr<Access>> Access::Open(const std::string& path,
                                                     const base::Clock* clock) {
  std::unique_ptr<Access> access(new Access(path, clock));
  RETURN_IF_ERROR(access->file_.Load());
  return access;
}

Access::Access(const std::string& path, const base::Clock* clock)
    : clock_(clock), file_(path, clock, [this](std::string_view content) {
        return Take(content);
      }) {}

absl::Status Access::Take(std::string_view content) {
  ASSIGN_OR_RETURN(auto table, AccessTable::Parse(content));
  base::MutexLock lock(&mutex_);
  table_ = std::make_shared<const AccessTable>(std::move(table));
  return absl::OkStatus();
}

std::shared_ptr<const AccessTable> Access::Current() {
  file_.Poll();
  base::MutexLock lock(&mutex_);
  return table_;
}

absl::StatusOr<Caller> Access::Authenticate(const Credentials& credentials) {
  return Current()->Authenticate(credentials, clock_->Now());
}

absl::Status CheckPermitted(const Caller& caller, Scope scope,
                            std::string_view space) {
  if (Permits(caller.grants, scope, space)) return absl::OkStatus();
  const std::string needed(NameOf(scope));
  const std::string where =
      space == kEverywhere ? "every namespace"
      : space.empty()      ? "the namespace of a name that has none"
                      : absl::StrCat("the namespace ", base::Quoted(space));
  return base::Error(
      absl::StatusCode::kPermissionDenied,
      absl::StrCat(base::Quoted(caller.name), " may not: this needs the scope ",
                   needed, " on ", where),
      {.reason = "SCOPE_MISSING",
       .metadata = {
           {"scope", needed},
           {"namespace", space.size() <= kNamespaceBytesMax ? std::string(space)
                                                            : std::string()}}});
}

}  // namespace mneme::service
