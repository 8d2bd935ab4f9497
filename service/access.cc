#include "service/access.h"

#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace mneme::service {
namespace {

// Ten thousand entries with some scopes each.
constexpr uint64_t kFileBytesMax = 16 << 20;

// No namespace is longer; of a longer name a part may not be UTF-8.
constexpr size_t kNamespaceBytesMax = 63;

}  // namespace

absl::StatusOr<std::string> ReadTokensFile(const std::string& path) {
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  if (!error && size > kFileBytesMax) {
    return base::InvalidField("tokens", absl::StrCat(size, " bytes"),
                              "a file of at most 16 MiB");
  }
  std::ifstream file(path, std::ios::binary);
  std::string bytes(error ? 0 : size, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (error || !file.is_open() || file.bad()) {
    return base::InvalidField("tokens", base::Quoted(path),
                              "a file that can be read");
  }
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

absl::StatusOr<std::unique_ptr<Access>> Access::Open(const std::string& path,
                                                     const base::Clock* clock) {
  std::unique_ptr<Access> access(new Access(path, clock));
  base::MutexLock lock(&access->mutex_);
  RETURN_IF_ERROR(access->Reread());
  return access;
}

absl::Status Access::Reread() {
  read_at_ = clock_->Ticks();
  auto bytes = ReadTokensFile(path_);
  if (!bytes.ok()) {
    const bool known = !std::exchange(readable_, false);
    return known ? absl::OkStatus() : bytes.status();
  }
  readable_ = true;
  if (table_ != nullptr && *bytes == bytes_) return absl::OkStatus();
  bytes_ = *std::move(bytes);  // Also wrong ones, to be complained of once.
  ASSIGN_OR_RETURN(auto table, AccessTable::Parse(bytes_));
  table_ = std::make_shared<const AccessTable>(std::move(table));
  base::Log(base::LogLevel::kInfo, "access",
            {{"file", path_},
             {"entries", static_cast<int64_t>(table_->entries().size())}});
  return absl::OkStatus();
}

std::shared_ptr<const AccessTable> Access::Current() {
  base::MutexLock lock(&mutex_);
  if (clock_->Ticks() - read_at_ >= kReread) {
    const absl::Status read = Reread();
    if (!read.ok()) {
      base::Log(base::LogLevel::kError, "access",
                {{"file", path_},
                 {"error", std::string(read.message())},
                 {"kept", static_cast<int64_t>(table_->entries().size())}});
    }
  }
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
