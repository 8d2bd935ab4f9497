#include "service/token_command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "base/usage.h"
#include "service/access_table.h"
#include "service/token.h"
#include "service/watched_file.h"

namespace mneme::service {
namespace {

using std::chrono::system_clock;

constexpr int kExitOk = 0;
constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitNotFound = 3;

constexpr char kFooter[] = R"(
Examples:
  mneme token new --name alice --scope notes:append --file tokens.json
      a token that may read and append in the namespace "notes", until revoked
  mneme token new --name ci --scope '*:read' --expires 30d --file tokens.json
  mneme token new --name engine --scope '*:append' --certificate engine.example
      no token, but a client certificate that bears this name (mutual TLS)
  mneme token list --file tokens.json
  mneme token revoke alice --file tokens.json

Scopes: read < append < admin (which also forgets and deletes); the namespace *
is every namespace. A running server takes a changed file within a second. To
rotate a token, add one of the same name, change the client, revoke the old ID.)";

struct Flags {
  std::string file;
  std::string name;
  std::string certificate;
  std::vector<std::string> scopes;
  std::string expires;
  std::string revoked;
};

absl::StatusOr<system_clock::time_point> ExpiryOf(const std::string& text) {
  int64_t days = 0;
  if (text.ends_with('d') &&
      absl::SimpleAtoi(text.substr(0, text.size() - 1), &days) && days > 0 &&
      days <= 36'500) {
    return system_clock::now() + std::chrono::hours(24 * days);
  }
  return ParseExpiry(text);
}

bool WriteAll(int file, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t wrote = ::write(file, text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    done += static_cast<size_t>(wrote);
  }
  return true;
}

// A change of the tokens file from before it is read until it is replaced: the
// file beside it, which is there meanwhile, keeps two edits apart.
class Edit {
 public:
  // Nothing is read of a file while another edit is under way.
  static absl::StatusOr<std::unique_ptr<Edit>> Begin(const std::string& path) {
    const std::string partial = path + ".new";
    const int file =
        ::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file >= 0) return std::unique_ptr<Edit>(new Edit(path, partial, file));
    return absl::ErrnoToStatus(
        errno, absl::StrCat("cannot write ", partial,
                            errno == EEXIST
                                ? " (is another edit under way? else remove it)"
                                : ""));
  }
  ~Edit() {
    ::close(file_);
    if (!replaced_) ::unlink(partial_.c_str());
  }
  Edit(const Edit&) = delete;
  Edit& operator=(const Edit&) = delete;

  absl::StatusOr<AccessTable> Read() const {
    ASSIGN_OR_RETURN(const std::string bytes, ReadSettingsFile(path_));
    return AccessTable::Parse(bytes);
  }

  // An empty table where there is no file yet.
  absl::StatusOr<AccessTable> ReadIfThere() const {
    if (::access(path_.c_str(), F_OK) != 0 && errno == ENOENT) {
      return AccessTable({});
    }
    return Read();
  }

  // In one step: a server that reads sees the old or the new. It may read the
  // new as it might the old, whoever makes the edit.
  absl::Status Replace(const AccessTable& table) {
    RETURN_IF_ERROR(CopyOwnerAndMode());
    if (!WriteAll(file_, table.ToJson()) || ::fsync(file_) != 0 ||
        ::rename(partial_.c_str(), path_.c_str()) != 0) {
      return absl::ErrnoToStatus(errno, "cannot write " + path_);
    }
    replaced_ = true;
    return absl::OkStatus();
  }

 private:
  Edit(std::string path, std::string partial, int file)
      : path_(std::move(path)), partial_(std::move(partial)), file_(file) {}

  absl::Status CopyOwnerAndMode() const {
    struct stat before = {};
    struct stat now = {};
    if (::stat(path_.c_str(), &before) != 0) return absl::OkStatus();
    const bool same = ::fstat(file_, &now) == 0 &&
                      now.st_uid == before.st_uid &&
                      now.st_gid == before.st_gid;
    if (!same && ::fchown(file_, before.st_uid, before.st_gid) != 0) {
      return absl::ErrnoToStatus(
          errno,
          absl::StrCat("cannot leave ", path_, " with user ", before.st_uid,
                       " and group ", before.st_gid,
                       ", who own it (edit it as that user or as root)"));
    }
    if (::fchmod(file_, before.st_mode & 0777) == 0) return absl::OkStatus();
    return absl::ErrnoToStatus(errno, "cannot write " + partial_);
  }

  const std::string path_;
  const std::string partial_;
  const int file_;
  bool replaced_ = false;
};

// The salt that the table uses already: equal salts cost the server one hash a
// call for all of them.
absl::StatusOr<std::string> SaltFor(const AccessTable& table) {
  for (const AccessEntry& entry : table.entries()) {
    if (entry.token) return entry.token->salt;
  }
  return NewSalt();
}

absl::Status RunNew(const Flags& flags) {
  AccessTable table({});
  std::unique_ptr<Edit> edit;  // Null: the file is the person's to edit.
  if (!flags.file.empty()) {
    ASSIGN_OR_RETURN(edit, Edit::Begin(flags.file));
    ASSIGN_OR_RETURN(table, edit->ReadIfThere());
  }
  AccessEntry entry{.name = flags.name, .certificate = flags.certificate};
  for (const std::string& scope : flags.scopes) {
    ASSIGN_OR_RETURN(const Grant grant, Grant::Parse(scope));
    entry.scopes.push_back(grant);
  }
  if (!flags.expires.empty()) {
    ASSIGN_OR_RETURN(entry.expires, ExpiryOf(flags.expires));
  }
  std::string token;
  if (entry.certificate.empty()) {
    ASSIGN_OR_RETURN(token, NewToken());
    ASSIGN_OR_RETURN(const std::string salt, SaltFor(table));
    entry.token = TokenHash{.salt = salt, .digest = DigestOf(salt, token)};
  }
  std::vector<AccessEntry> entries = table.entries();
  entries.push_back(entry);
  const AccessTable changed(std::move(entries));
  // What the server would not take is not written.
  RETURN_IF_ERROR(AccessTable::Parse(changed.ToJson()).status());
  if (edit != nullptr) RETURN_IF_ERROR(edit->Replace(changed));
  if (!token.empty()) std::cout << token << std::endl;
  if (flags.file.empty()) {
    std::cerr << "Add this to \"tokens\" in the file of mneme serve --tokens:\n"
              << ToJson(entry) << std::endl;
  } else {
    std::cerr << "added " << entry.Id() << " (" << entry.name << ") to "
              << flags.file
              << (token.empty() ? "" : "; the token is not shown again")
              << std::endl;
  }
  return absl::OkStatus();
}

absl::Status RunList(const Flags& flags) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadSettingsFile(flags.file));
  ASSIGN_OR_RETURN(const AccessTable table, AccessTable::Parse(bytes));
  const auto now = system_clock::now();
  for (const AccessEntry& entry : table.entries()) {
    std::cout << entry.Id() << "  " << entry.name << "  "
              << absl::StrJoin(entry.scopes, " ",
                               [](std::string* out, const Grant& grant) {
                                 absl::StrAppend(out, grant.ToString());
                               });
    if (entry.expires) {
      std::cout << "  " << (*entry.expires <= now ? "expired " : "expires ")
                << absl::FormatTime("%Y-%m-%dT%H:%M:%SZ",
                                    absl::FromChrono(*entry.expires),
                                    absl::UTCTimeZone());
    }
    std::cout << "\n";
  }
  return absl::OkStatus();
}

absl::Status RunRevoke(const Flags& flags) {
  ASSIGN_OR_RETURN(const auto edit, Edit::Begin(flags.file));
  ASSIGN_OR_RETURN(const AccessTable table, edit->Read());
  std::vector<AccessEntry> entries = table.entries();
  const size_t revoked = std::erase_if(entries, [&](const AccessEntry& entry) {
    return entry.name == flags.revoked || entry.Id() == flags.revoked;
  });
  if (revoked == 0) {
    return absl::NotFoundError(absl::StrCat(flags.file,
                                            " has no entry of the name or ID ",
                                            base::Quoted(flags.revoked)));
  }
  RETURN_IF_ERROR(edit->Replace(AccessTable(std::move(entries))));
  std::cerr << "revoked " << revoked << " of " << flags.revoked << std::endl;
  return absl::OkStatus();
}

void AddFile(CLI::App* command, Flags& flags, bool required) {
  command->add_option("--file", flags.file, "File of `mneme serve --tokens`")
      ->type_name("FILE")
      ->required(required);
}

void AddNew(CLI::App& app, Flags& flags) {
  CLI::App* command =
      app.add_subcommand("new", "Make a token and print it, once");
  AddFile(command, flags, /*required=*/false);
  command->add_option("--name", flags.name, "Whose it is; stands in the log")
      ->required();
  command
      ->add_option("--scope", flags.scopes,
                   "NAMESPACE:read, :append or :admin; may be repeated")
      ->type_name("SCOPE")
      ->allow_extra_args(false)
      ->required();
  command->add_option(
      "--expires", flags.expires,
      "30d, or a time as 2027-01-01T00:00:00Z (default: never)");
  command
      ->add_option("--certificate", flags.certificate,
                   "Instead of a token: a name that the client's certificate "
                   "bears")
      ->type_name("NAME");
}

int ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kInvalidArgument:
      return kExitUsage;
    case absl::StatusCode::kNotFound:
      return kExitNotFound;
    default:
      return kExitFailed;
  }
}

}  // namespace

int TokenCommand(int argc, const char* const* argv) {
  Flags flags;
  CLI::App app("Makes tokens for a server that asks who calls.", "mneme token");
  app.require_subcommand(1);
  app.footer(kFooter);
  AddNew(app, flags);
  CLI::App* list = app.add_subcommand("list", "List who may what");
  AddFile(list, flags, /*required=*/true);
  CLI::App* revoke = app.add_subcommand("revoke", "Take entries out");
  AddFile(revoke, flags, /*required=*/true);
  revoke->add_option("entry", flags.revoked, "An ID of `list`, or a name")
      ->type_name("")
      ->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // Asked for help.
      app.exit(error);
      return kExitOk;
    }
    std::cerr << "mneme token: " << base::UsageMessage(app, error) << "\n";
    return kExitUsage;
  }
  const absl::Status status = list->parsed()     ? RunList(flags)
                              : revoke->parsed() ? RunRevoke(flags)
                                                 : RunNew(flags);
  if (!status.ok()) {
    std::cerr << "mneme token: " << std::string(status.message()) << "\n";
  }
  return ExitCodeOf(status);
}

}  // namespace mneme::service
