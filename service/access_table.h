// service/access_table.h: who may do what, as one version of the file says.
//
// {"tokens": [
//   {"name": "alice", "token": "sha256:SALT:DIGEST",
//    "scopes": ["notes:append", "papers:read"],
//    "expires": "2027-01-01T00:00:00Z"},
//   {"name": "engine", "certificate": "engine.example", "scopes": ["*:append"]}
// ]}

#ifndef MNEME_SERVICE_ACCESS_TABLE_H_
#define MNEME_SERVICE_ACCESS_TABLE_H_

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "service/scope.h"
#include "service/token.h"

namespace mneme::service {

// What a caller shows.
struct Credentials {
  bool has_token = false;  // Also a wrong one, e.g. of another scheme.
  std::string token = {};
  // Common name and alternative names of a certificate that was verified.
  std::vector<std::string> certificate_names = {};
};

// Who a caller is.
struct Caller {
  std::string name = {};
  std::vector<Grant> grants = {};
};

struct AccessEntry {
  std::string name =
      {};  // Several may share it, e.g. while a token is rotated.
  std::optional<TokenHash> token = std::nullopt;  // Either this,
  std::string certificate = {};  // or a name that the certificate bears.
  std::vector<Grant> scopes = {};
  std::optional<std::chrono::system_clock::time_point> expires = std::nullopt;

  // The first eight digits of the token's digest, or the certificate's name:
  // enough for a person to tell entries apart.
  std::string Id() const;
};

// Threads:  any: it does not change.
class AccessTable {
 public:
  // More entries than anybody has; each with a salt of its own costs a hash a
  // call.
  static constexpr size_t kEntriesMax = 10'000;

  // Errors:   INVALID_ARGUMENT on `tokens`, naming the entry: a field that is
  //           not known (a misspelt "expires" must not last for ever), missing,
  //           malformed or there twice. No part of a token is repeated.
  static absl::StatusOr<AccessTable> Parse(std::string_view json);

  explicit AccessTable(std::vector<AccessEntry> entries);

  // As Parse reads it, one entry a line.
  std::string ToJson() const;

  const std::vector<AccessEntry>& entries() const { return entries_; }

  // A token counts alone when there is one; only without, the certificate does.
  // Every entry is compared, however early one matches.
  // Errors:   UNAUTHENTICATED TOKEN_MISSING, TOKEN_UNKNOWN, TOKEN_EXPIRED,
  //           CERTIFICATE_UNKNOWN.
  absl::StatusOr<Caller> Authenticate(
      const Credentials& credentials,
      std::chrono::system_clock::time_point now) const;

 private:
  const AccessEntry* FindToken(const std::string& token) const;
  const AccessEntry* FindCertificate(
      const std::vector<std::string>& names) const;

  std::vector<AccessEntry> entries_;
};

// One entry as a line of the file.
std::string ToJson(const AccessEntry& entry);

// "2027-01-01T00:00:00Z". Errors: INVALID_ARGUMENT on `expires`.
absl::StatusOr<std::chrono::system_clock::time_point> ParseExpiry(
    const std::string& text);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_ACCESS_TABLE_H_
