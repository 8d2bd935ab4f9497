#include "memory/snapshots.h"

#include <xxhash.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "memory/files.h"

namespace mneme::memory {
namespace {

namespace fs = std::filesystem;

constexpr size_t kNameBytesMax = 63;
constexpr uint32_t kFormatVersion = 1;
// Directories that are not snapshots yet, or no more; hidden, since a name
// never starts with a dot.
constexpr char kMaking[] = ".making-";
constexpr char kDeleting[] = ".deleting-";

absl::Status CheckName(const std::string& name) {
  const auto alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  if (!name.empty() && name.size() <= kNameBytesMax && alphanumeric(name[0]) &&
      std::all_of(name.begin(), name.end(), [&](char c) {
        return alphanumeric(c) || c == '.' || c == '_' || c == '-';
      })) {
    return absl::OkStatus();
  }
  return base::InvalidField("name", base::Quoted(name),
                            absl::StrCat("1 to ", kNameBytesMax,
                                         " characters of [a-z0-9._-], the "
                                         "first a letter or a digit"));
}

// SNAPSHOT: lines of words, the last a checksum of what is before it.
struct Manifest {
  int64_t create_time_us = 0;
  std::map<std::string, uint64_t> files = {};  // Name to bytes.
};

std::string ChecksumOf(std::string_view text) {
  return absl::StrCat(
      absl::Hex(XXH3_64bits(text.data(), text.size()), absl::kZeroPad16));
}

std::string EncodeManifest(const Manifest& manifest) {
  std::string text = absl::StrCat("mneme-snapshot ", kFormatVersion,
                                  "\ntime_us ", manifest.create_time_us, "\n");
  for (const auto& [name, bytes] : manifest.files) {
    absl::StrAppend(&text, "file ", bytes, " ", name, "\n");
  }
  return absl::StrCat(text, "xxh3 ", ChecksumOf(text), "\n");
}

absl::Status Damaged(const std::string& directory, const std::string& why) {
  return base::Error(
      absl::StatusCode::kDataLoss,
      absl::StrCat("the snapshot in ", directory, " is damaged: ", why),
      {.reason = "SNAPSHOT_DAMAGED", .metadata = {{"directory", directory}}});
}

absl::StatusOr<Manifest> DecodeManifest(const std::string& directory,
                                        const std::string& text) {
  const std::string bad =
      absl::StrCat("its file ", kSnapshotFile, " is not whole");
  Manifest manifest;
  std::string summed;
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  for (const std::string& line : lines) {
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::MaxSplits(' ', 2));
    if (words.size() < 2) break;
    if (words[0] == "xxh3") {
      if (words[1] == ChecksumOf(summed)) return manifest;
      break;
    }
    absl::StrAppend(&summed, line, "\n");
    uint64_t number = 0;
    if (!absl::SimpleAtoi(words[1], &number)) break;
    if (words[0] == "mneme-snapshot" && number > kFormatVersion) {
      return base::Error(
          absl::StatusCode::kFailedPrecondition,
          absl::StrCat("the snapshot in ", directory, " has format ", number,
                       "; this release reads up to ", kFormatVersion),
          {.reason = "FORMAT_TOO_NEW"});
    }
    if (words[0] == "time_us") {
      manifest.create_time_us = static_cast<int64_t>(number);
    } else if (words[0] == "file" && words.size() == 3) {
      manifest.files[words[2]] = number;
    }
  }
  return Damaged(directory, bad);
}

// Of the files that are there.
absl::StatusOr<std::map<std::string, uint64_t>> SizesIn(
    const std::string& directory) {
  std::map<std::string, uint64_t> sizes;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name != kSnapshotFile) sizes[name] = it->file_size(error);
  }
  if (!error) return sizes;
  return base::Error(
      absl::StatusCode::kPermissionDenied,
      absl::StrCat("cannot read ", directory, ": ", error.message()),
      {.reason = "SNAPSHOTS_UNREADABLE"});
}

absl::StatusOr<Manifest> ReadManifest(const std::string& directory) {
  const absl::StatusOr<std::string> text =
      ReadFile(absl::StrCat(directory, "/", kSnapshotFile));
  if (absl::IsNotFound(text.status())) {
    return base::Error(
        absl::StatusCode::kNotFound,
        absl::StrCat(directory, " is not a whole snapshot: it has no file ",
                     kSnapshotFile),
        {.reason = "NOT_A_SNAPSHOT"});
  }
  RETURN_IF_ERROR(text.status());
  ASSIGN_OR_RETURN(Manifest manifest, DecodeManifest(directory, *text));
  ASSIGN_OR_RETURN(const auto sizes, SizesIn(directory));
  for (const auto& [name, bytes] : manifest.files) {
    const auto it = sizes.find(name);
    if (it == sizes.end()) {
      return Damaged(directory, absl::StrCat("the file ", name, " is missing"));
    }
    if (it->second != bytes) {
      return Damaged(directory,
                     absl::StrCat("the file ", name, " has ", it->second,
                                  " bytes, not ", bytes));
    }
  }
  return manifest;
}

Snapshot SnapshotOf(const std::string& directory, const Manifest& manifest) {
  Snapshot snapshot{.name = fs::path(directory).filename().string(),
                    .directory = directory,
                    .create_time_us = manifest.create_time_us};
  for (const auto& [name, bytes] : manifest.files) snapshot.bytes += bytes;
  return snapshot;
}

bool StartsWith(const std::string& text, std::string_view prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

// What a crash left. It is not in anybody's way, so failing is no error.
void RemoveLeftovers(const std::string& directory) {
  std::error_code error;
  std::vector<fs::path> left;
  for (fs::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (StartsWith(name, kMaking) || StartsWith(name, kDeleting)) {
      left.push_back(it->path());
    }
  }
  for (const fs::path& path : left) fs::remove_all(path, error);
}

}  // namespace

Snapshots::Snapshots(std::string directory)
    : directory_(std::move(directory)) {}

absl::StatusOr<Snapshot> Snapshots::Create(Store& store,
                                           const std::string& name,
                                           int64_t now_us) {
  RETURN_IF_ERROR(CheckName(name));
  std::error_code error;
  fs::create_directories(directory_, error);
  if (error) {
    return base::Error(absl::StatusCode::kPermissionDenied,
                       absl::StrCat("cannot make the directory of snapshots ",
                                    directory_, ": ", error.message()),
                       {.reason = "SNAPSHOTS_UNWRITABLE"});
  }
  RemoveLeftovers(directory_);
  const std::string path = absl::StrCat(directory_, "/", name);
  if (fs::exists(path, error)) {
    return base::Error(absl::StatusCode::kAlreadyExists,
                       absl::StrCat("a snapshot \"", name, "\" exists already"),
                       {.reason = "SNAPSHOT_EXISTS", .field = "name"});
  }
  const std::string making = absl::StrCat(directory_, "/", kMaking, name);
  Manifest manifest{.create_time_us = now_us};
  const auto make = [&]() -> absl::Status {
    RETURN_IF_ERROR(store.Checkpoint(making));
    ASSIGN_OR_RETURN(manifest.files, SizesIn(making));
    RETURN_IF_ERROR(WriteFile(absl::StrCat(making, "/", kSnapshotFile),
                              EncodeManifest(manifest)));
    RETURN_IF_ERROR(SyncDirectory(making));
    RETURN_IF_ERROR(Rename(making, path));
    return SyncDirectory(directory_);
  };
  const absl::Status made = make();
  if (!made.ok()) {
    RemoveLeftovers(directory_);
    return made;
  }
  return SnapshotOf(path, manifest);
}

absl::StatusOr<std::vector<Snapshot>> Snapshots::List() const {
  std::vector<Snapshot> snapshots;
  std::error_code error;
  if (!fs::exists(directory_, error) && !error) return snapshots;
  for (fs::directory_iterator it(directory_, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!CheckName(name).ok()) continue;
    const auto manifest = ReadManifest(it->path().string());
    if (!manifest.ok()) continue;
    snapshots.push_back(SnapshotOf(it->path().string(), *manifest));
  }
  if (error) {
    return base::Error(absl::StatusCode::kPermissionDenied,
                       absl::StrCat("cannot read the directory of snapshots ",
                                    directory_, ": ", error.message()),
                       {.reason = "SNAPSHOTS_UNREADABLE"});
  }
  std::sort(
      snapshots.begin(), snapshots.end(),
      [](const Snapshot& a, const Snapshot& b) { return a.name < b.name; });
  return snapshots;
}

absl::Status Snapshots::Delete(const std::string& name) {
  RETURN_IF_ERROR(CheckName(name));
  const std::string path = absl::StrCat(directory_, "/", name);
  const std::string deleting = absl::StrCat(directory_, "/", kDeleting, name);
  RemoveLeftovers(directory_);
  // Beside snapshots may lie what is none, e.g. the data directory itself.
  std::error_code error;
  if (!fs::exists(absl::StrCat(path, "/", kSnapshotFile), error)) {
    return base::Error(
        absl::StatusCode::kNotFound,
        absl::StrCat("no snapshot \"", name, "\" in ", directory_),
        {.reason = "SNAPSHOT_NOT_FOUND", .field = "name"});
  }
  RETURN_IF_ERROR(Rename(path, deleting));
  RETURN_IF_ERROR(SyncDirectory(directory_));
  fs::remove_all(deleting, error);
  if (!error) return absl::OkStatus();
  return base::Error(
      absl::StatusCode::kPermissionDenied,
      absl::StrCat("cannot remove ", deleting, ": ", error.message()),
      {.reason = "SNAPSHOTS_UNWRITABLE"});
}

absl::StatusOr<Snapshot> ReadSnapshot(const std::string& directory) {
  ASSIGN_OR_RETURN(const Manifest manifest, ReadManifest(directory));
  return SnapshotOf(directory, manifest);
}

absl::StatusOr<std::vector<std::string>> FilesOfSnapshot(
    const std::string& directory) {
  ASSIGN_OR_RETURN(const Manifest manifest, ReadManifest(directory));
  std::vector<std::string> names;
  for (const auto& [name, bytes] : manifest.files) names.push_back(name);
  return names;
}

}  // namespace mneme::memory
