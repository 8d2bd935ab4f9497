#include "client/export_form.h"

#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "base/strict_json.h"
#include "client/output.h"

namespace mneme::client {
namespace {

using Json = nlohmann::json;

// The marker, its files, a file.
constexpr int kEndDepthMax = 3;
// A profile's messages; the parser itself allows many more.
constexpr int kManifestDepthMax = 8;

absl::Status BadForm(const char* file, std::string_view what) {
  return base::Error(absl::StatusCode::kInvalidArgument,
                     absl::StrCat(file, ": ", std::string(what)),
                     {.reason = "BAD_EXPORT", .metadata = {{"file", file}}});
}

absl::Status CheckVersion(const char* file, uint64_t version) {
  if (version >= 1 && version <= kExportVersion) return absl::OkStatus();
  if (version == 0) return BadForm(file, "it has no \"version\"");
  return base::Error(
      absl::StatusCode::kFailedPrecondition,
      absl::StrCat(file, ": it has version ", version,
                   "; this release reads up to ", kExportVersion),
      {.reason = "FORMAT_TOO_NEW"});
}

absl::StatusOr<uint64_t> NumberIn(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) {
    return BadForm(kEndFile, absl::StrCat("it has no number \"", key, "\""));
  }
  return found->get<uint64_t>();
}

// Only these, so that no name leads out of the directory.
bool IsFileName(const std::string& name) {
  if (name == kManifestFile || name == kEntriesFile) return true;
  constexpr size_t kPrefixBytes = sizeof("tokens-") - 1;
  uint64_t number = 0;
  return name.size() > kPrefixBytes &&
         absl::SimpleAtoi(
             name.substr(kPrefixBytes, name.find('.') - kPrefixBytes),
             &number) &&
         name == TokensFileName(number);
}

}  // namespace

std::string TokensFileName(uint64_t number) {
  return absl::StrFormat("tokens-%06d.safetensors", number);
}

std::string EncodeEndMarker(const EndMarker& end) {
  nlohmann::ordered_json files = nlohmann::ordered_json::object();
  for (const auto& [name, file] : end.files) {
    files[name] = {{"bytes", file.bytes}, {"sha256", file.sha256}};
  }
  const nlohmann::ordered_json json = {{"version", kExportVersion},
                                       {"entries", end.entries},
                                       {"tokens", end.tokens},
                                       {"files", files}};
  return json.dump(2) + "\n";
}

absl::StatusOr<EndMarker> ParseEndMarker(std::string_view text) {
  const absl::StatusOr<Json> json = base::ParseStrictJson(text, kEndDepthMax);
  if (!json.ok())
    return BadForm(kEndFile, std::string(json.status().message()));
  ASSIGN_OR_RETURN(const uint64_t version, NumberIn(*json, "version"));
  RETURN_IF_ERROR(CheckVersion(kEndFile, version));
  EndMarker end;
  ASSIGN_OR_RETURN(end.entries, NumberIn(*json, "entries"));
  ASSIGN_OR_RETURN(end.tokens, NumberIn(*json, "tokens"));
  const auto files = json->find("files");
  if (files == json->end() || !files->is_object()) {
    return BadForm(kEndFile, "it has no object \"files\"");
  }
  for (const auto& [name, file] : files->items()) {
    const auto sha256 = file.is_object() ? file.find("sha256") : file.end();
    if (sha256 == file.end() || !sha256->is_string()) {
      return BadForm(kEndFile, absl::StrCat(base::Quoted(name),
                                            " has no string \"sha256\""));
    }
    EndMarker::File& known = end.files[name];
    ASSIGN_OR_RETURN(known.bytes, NumberIn(file, "bytes"));
    known.sha256 = sha256->get<std::string>();
  }
  for (const auto& [name, file] : end.files) {
    if (!IsFileName(name)) {
      return BadForm(kEndFile, absl::StrCat("it lists ", base::Quoted(name),
                                            ", which is no file of the form"));
    }
  }
  if (!end.files.contains(kManifestFile)) {
    return BadForm(kEndFile,
                   absl::StrCat("it does not list \"", kManifestFile, "\""));
  }
  return end;
}

std::string EncodeManifest(const v1::SessionManifest& manifest) {
  return nlohmann::ordered_json::parse(ToJson(manifest)).dump(2) + "\n";
}

absl::StatusOr<v1::SessionManifest> ParseManifest(std::string_view json) {
  // Protobuf's parser would take a key twice.
  const absl::StatusOr<Json> strict =
      base::ParseStrictJson(json, kManifestDepthMax);
  if (!strict.ok())
    return BadForm(kManifestFile, std::string(strict.status().message()));
  v1::SessionManifest manifest;
  const auto parsed =
      google::protobuf::util::JsonStringToMessage(std::string(json), &manifest);
  if (!parsed.ok()) {
    return BadForm(kManifestFile, absl::StrCat("it is no manifest: ",
                                               std::string(parsed.message())));
  }
  RETURN_IF_ERROR(CheckVersion(kManifestFile, manifest.version()));
  return manifest;
}

}  // namespace mneme::client
