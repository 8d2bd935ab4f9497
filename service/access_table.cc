#include "service/access_table.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "base/strict_json.h"

namespace mneme::service {
namespace {

using nlohmann::json;
using std::chrono::system_clock;

constexpr size_t kNameBytesMax = 128;
constexpr size_t kIdDigits = 8;
// The deepest value is tokens/INDEX/scopes/INDEX.
constexpr int kDepthMax = 8;

absl::Status Unauthenticated(std::string_view message,
                             const std::string& reason) {
  return base::Error(absl::StatusCode::kUnauthenticated, message,
                     {.reason = reason});
}

// The member of `entry`, which must be a string that is not empty.
absl::StatusOr<std::string> StringOf(const json& entry, const char* key) {
  const auto it = entry.find(key);
  if (it != entry.end() && it->is_string()) {
    const auto& text = it->get_ref<const std::string&>();
    if (!text.empty() && text.size() <= kNameBytesMax * 2) return text;
  }
  return base::InvalidField(key, "nothing, no string, or a long one",
                            "a string");
}

absl::Status CheckKeys(const json& entry) {
  static const std::set<std::string> known = {"name", "token", "certificate",
                                              "scopes", "expires"};
  if (!entry.is_object()) {
    return base::InvalidField("entry", "something else", "an object");
  }
  for (const auto& member : entry.items()) {
    if (known.count(member.key()) == 0) {
      return base::InvalidField(
          "entry", base::Quoted(member.key()),
          "only name, token, certificate, scopes and expires");
    }
  }
  if (entry.contains("token") == entry.contains("certificate")) {
    return base::InvalidField("entry", "both or none of token and certificate",
                              "one of them");
  }
  return absl::OkStatus();
}

absl::StatusOr<AccessEntry> EntryFromJson(const json& source) {
  RETURN_IF_ERROR(CheckKeys(source));
  AccessEntry entry;
  ASSIGN_OR_RETURN(entry.name, StringOf(source, "name"));
  if (source.contains("token")) {
    ASSIGN_OR_RETURN(const std::string token, StringOf(source, "token"));
    ASSIGN_OR_RETURN(entry.token, TokenHash::Parse(token));
  } else {
    ASSIGN_OR_RETURN(entry.certificate, StringOf(source, "certificate"));
  }
  const auto scopes = source.find("scopes");
  if (scopes == source.end() || !scopes->is_array()) {
    return base::InvalidField("scopes", "no list", "a list of NAMESPACE:SCOPE");
  }
  for (const json& scope : *scopes) {
    if (!scope.is_string()) {
      return base::InvalidField("scopes", "no string", "NAMESPACE:SCOPE");
    }
    ASSIGN_OR_RETURN(const Grant grant,
                     Grant::Parse(scope.get_ref<const std::string&>()));
    entry.scopes.push_back(grant);
  }
  if (source.contains("expires")) {
    ASSIGN_OR_RETURN(const std::string expires, StringOf(source, "expires"));
    ASSIGN_OR_RETURN(entry.expires, ParseExpiry(expires));
  }
  return entry;
}

// Entries whose salts are equal stand together, so that they share a hash.
void SortBySalt(std::vector<AccessEntry>& entries) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const AccessEntry& a, const AccessEntry& b) {
                     return a.token && b.token ? a.token->salt < b.token->salt
                                               : a.token && !b.token;
                   });
}

}  // namespace

std::string AccessEntry::Id() const {
  if (!token) return certificate;
  const std::string bytes(token->digest.begin(), token->digest.end());
  return absl::BytesToHexString(bytes).substr(0, kIdDigits);
}

absl::StatusOr<system_clock::time_point> ParseExpiry(const std::string& text) {
  absl::Time time;
  std::string error;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, &error)) {
    return absl::ToChronoTime(time);
  }
  return base::InvalidField("expires", base::Quoted(text),
                            "a time with a zone, as 2027-01-01T00:00:00Z");
}

AccessTable::AccessTable(std::vector<AccessEntry> entries)
    : entries_(std::move(entries)) {
  SortBySalt(entries_);
}

absl::StatusOr<AccessTable> AccessTable::Parse(std::string_view text) {
  constexpr char kForm[] = "JSON of the form {\"tokens\": [...]}";
  const auto parsed = base::ParseStrictJson(text, kDepthMax);
  if (!parsed.ok()) {
    return base::InvalidField(
        "tokens",
        absl::StrCat("what is refused (",
                     std::string(parsed.status().message()), ")"),
        kForm);
  }
  const json& document = *parsed;
  if (document.size() != 1 || !document.contains("tokens") ||
      !document["tokens"].is_array()) {
    return base::InvalidField("tokens", "something else", kForm);
  }
  const json& list = document["tokens"];
  if (list.size() > kEntriesMax) {
    return base::InvalidField("tokens", absl::StrCat(list.size(), " entries"),
                              absl::StrCat("at most ", kEntriesMax));
  }
  std::vector<AccessEntry> entries;
  std::set<std::string> certificates;
  for (size_t i = 0; i < list.size(); ++i) {
    auto entry = EntryFromJson(list[i]);
    if (!entry.ok()) {
      return base::Annotate(entry.status(), absl::StrCat("tokens[", i, "]: "));
    }
    if (!entry->certificate.empty() &&
        !certificates.insert(entry->certificate).second) {
      return base::InvalidField(absl::StrCat("tokens[", i, "].certificate"),
                                base::Quoted(entry->certificate),
                                "a name that no other entry has");
    }
    entries.push_back(*std::move(entry));
  }
  return AccessTable(std::move(entries));
}

std::string ToJson(const AccessEntry& entry) {
  nlohmann::ordered_json line = {{"name", entry.name}};
  if (entry.token) {
    line["token"] = entry.token->ToString();
  } else {
    line["certificate"] = entry.certificate;
  }
  line["scopes"] = nlohmann::ordered_json::array();
  for (const Grant& grant : entry.scopes) {
    line["scopes"].push_back(grant.ToString());
  }
  if (entry.expires) {
    line["expires"] =
        absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromChrono(*entry.expires),
                         absl::UTCTimeZone());
  }
  return line.dump(-1, ' ', false,
                   nlohmann::ordered_json::error_handler_t::replace);
}

std::string AccessTable::ToJson() const {
  std::string text = "{\"tokens\": [";
  for (size_t i = 0; i < entries_.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? "\n  " : ",\n  ",
                    service::ToJson(entries_[i]));
  }
  return text + "\n]}\n";
}

const AccessEntry* AccessTable::FindToken(const std::string& token) const {
  const AccessEntry* found = nullptr;
  const std::string* salt = nullptr;
  Sha256 digest{};
  for (const AccessEntry& entry : entries_) {
    if (!entry.token) continue;
    if (salt == nullptr || *salt != entry.token->salt) {
      salt = &entry.token->salt;
      digest = DigestOf(*salt, token);
    }
    const bool same = SameDigest(digest, entry.token->digest);
    found = same ? &entry : found;
  }
  return found;
}

const AccessEntry* AccessTable::FindCertificate(
    const std::vector<std::string>& names) const {
  for (const AccessEntry& entry : entries_) {
    if (entry.token) continue;
    if (std::find(names.begin(), names.end(), entry.certificate) !=
        names.end()) {
      return &entry;
    }
  }
  return nullptr;
}

absl::StatusOr<Caller> AccessTable::Authenticate(
    const Credentials& credentials, system_clock::time_point now) const {
  const AccessEntry* entry = nullptr;
  if (credentials.has_token) {
    entry = FindToken(credentials.token);
    if (entry == nullptr) {
      return Unauthenticated(
          "the token is not known here: the metadata \"authorization\" must be "
          "\"Bearer TOKEN\", once, with a token of this server",
          "TOKEN_UNKNOWN");
    }
  } else if (credentials.certificate_names.empty()) {
    return Unauthenticated(
        "this server needs a token: give one with --token-file or in "
        "MNEME_TOKEN, or as the metadata \"authorization: Bearer TOKEN\"",
        "TOKEN_MISSING");
  } else {
    entry = FindCertificate(credentials.certificate_names);
    if (entry == nullptr) {
      return Unauthenticated(
          absl::StrCat("no entry is for the certificate of ",
                       base::Quoted(credentials.certificate_names.front()),
                       ", and no token was given"),
          "CERTIFICATE_UNKNOWN");
    }
  }
  if (entry->expires && *entry->expires <= now) {
    return Unauthenticated(
        absl::StrCat("the token of ", base::Quoted(entry->name),
                     " expired; ask for a new one"),
        "TOKEN_EXPIRED");
  }
  return Caller{.name = entry->name, .grants = entry->scopes};
}

}  // namespace mneme::service
