// client/export_form.h: the files of an exported session, by name, and the end
// marker that lists them. doc/export.md describes the whole form.

#ifndef MNEME_CLIENT_EXPORT_FORM_H_
#define MNEME_CLIENT_EXPORT_FORM_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "mneme/v1/transfer_service.pb.h"

namespace mneme::client {

inline constexpr uint32_t kExportVersion = 1;
inline constexpr char kManifestFile[] = "session.json";
inline constexpr char kEntriesFile[] = "entries.jsonl";
inline constexpr char kEndFile[] = "end.json";

// A manifest is small, and so is a list of files of 64 MiB.
inline constexpr size_t kFormBytesMax = 16 << 20;

// "tokens-000000.safetensors".
std::string TokensFileName(uint64_t number);

// Written last: what is missing without it is known to be missing.
struct EndMarker {
  struct File {
    uint64_t bytes = 0;
    std::string sha256 = {};
    friend bool operator==(const File&, const File&) = default;
  };
  uint64_t entries = 0;
  uint64_t tokens = 0;
  std::map<std::string, File> files = {};
  friend bool operator==(const EndMarker&, const EndMarker&) = default;
};

std::string EncodeEndMarker(const EndMarker& end);
// Errors: INVALID_ARGUMENT for what is not an end marker, or names a file that
// the form does not have; FAILED_PRECONDITION FORMAT_TOO_NEW.
absl::StatusOr<EndMarker> ParseEndMarker(std::string_view json);

std::string EncodeManifest(const v1::SessionManifest& manifest);
// Errors: as ParseEndMarker.
absl::StatusOr<v1::SessionManifest> ParseManifest(std::string_view json);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_EXPORT_FORM_H_
