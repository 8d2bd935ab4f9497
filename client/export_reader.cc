#include "client/export_reader.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "client/entry_line.h"
#include "client/input_file.h"
#include "client/sha256.h"

namespace mneme::client {
namespace {

constexpr size_t kReadBytes = 1 << 20;
// Of entries or tokens in a part, before the last of them.
constexpr size_t kPartBytes = 1 << 20;
// A megabyte of text whose every byte is written as \u00XX, and its facts.
constexpr size_t kLineBytesMax = 8 << 20;

absl::Status BadExport(absl::StatusCode code, const std::string& reason,
                       const std::string& path, std::string_view what) {
  return base::Error(code, absl::StrCat(path, ": ", std::string(what)),
                     {.reason = reason, .metadata = {{"path", path}}});
}

absl::Status Malformed(const std::string& path, std::string_view what) {
  return BadExport(absl::StatusCode::kInvalidArgument, "BAD_EXPORT", path,
                   what);
}

absl::Status Incomplete(const std::string& path, std::string_view what) {
  return BadExport(absl::StatusCode::kInvalidArgument, "EXPORT_INCOMPLETE",
                   path, what);
}

// A pipe would never end. What is missing is told by whoever reads it.
absl::Status CheckRegular(const std::string& path) {
  struct stat facts;
  if (::stat(path.c_str(), &facts) != 0 || S_ISREG(facts.st_mode)) {
    return absl::OkStatus();
  }
  return Malformed(path, "it is not a regular file");
}

// A small file of the form.
absl::StatusOr<std::string> ReadSmall(const std::string& path) {
  RETURN_IF_ERROR(CheckRegular(path));
  struct stat facts;
  if (::stat(path.c_str(), &facts) == 0 &&
      static_cast<uint64_t>(facts.st_size) > kFormBytesMax) {
    return Malformed(path, absl::StrCat("it has ", facts.st_size,
                                        " bytes; at most ", kFormBytesMax));
  }
  absl::StatusOr<std::string> bytes = ReadFile(path);
  if (!absl::IsNotFound(bytes.status())) return bytes;
  return Incomplete(path, "no such file: the export is not whole");
}

}  // namespace

// A file, line by line, of which none is held that is too long.
class ExportReader::Lines {
 public:
  explicit Lines(std::string path)
      : path_(std::move(path)), file_(path_, std::ios::binary) {}

  // False at the end of the file.
  absl::StatusOr<bool> Next(std::string& line) {
    line.clear();
    for (;;) {
      const size_t end = buffer_.find('\n', at_);
      line.append(buffer_, at_, end - at_);
      if (line.size() > kLineBytesMax) {
        return Malformed(where(), absl::StrCat("a line has more than ",
                                               kLineBytesMax, " bytes"));
      }
      if (end != std::string::npos) {
        at_ = end + 1;
        ++number_;
        return true;
      }
      buffer_.resize(kReadBytes);
      file_.read(buffer_.data(), static_cast<std::streamsize>(kReadBytes));
      buffer_.resize(static_cast<size_t>(file_.gcount()));
      at_ = 0;
      if (!buffer_.empty()) continue;
      if (line.empty()) return false;
      return Malformed(where(), "its last line has no end");
    }
  }

  // The line that was given last.
  std::string where() const { return absl::StrCat(path_, ":", number_); }

 private:
  const std::string path_;
  std::ifstream file_;
  std::string buffer_;
  size_t at_ = 0;
  uint64_t number_ = 0;
};

absl::StatusOr<std::unique_ptr<ExportReader>> ExportReader::Open(
    const std::string& directory,
    const std::function<bool(uint64_t)>& progress) {
  struct stat facts;
  if (::stat(directory.c_str(), &facts) != 0 || !S_ISDIR(facts.st_mode)) {
    return BadExport(absl::StatusCode::kNotFound, "NO_EXPORT", directory,
                     "no such directory");
  }
  const std::string path = absl::StrCat(directory, "/", kEndFile);
  ASSIGN_OR_RETURN(const std::string marker, ReadSmall(path));
  absl::StatusOr<EndMarker> end = ParseEndMarker(marker);
  if (!end.ok()) return base::Annotate(end.status(), directory);
  std::unique_ptr<ExportReader> reader(
      new ExportReader(directory, *std::move(end)));
  RETURN_IF_ERROR(reader->CheckFiles(progress));
  ASSIGN_OR_RETURN(const std::string json,
                   ReadSmall(absl::StrCat(directory, "/", kManifestFile)));
  absl::StatusOr<v1::SessionManifest> manifest = ParseManifest(json);
  if (!manifest.ok()) return base::Annotate(manifest.status(), directory);
  reader->manifest_ = *std::move(manifest);
  RETURN_IF_ERROR(reader->CheckNames());
  return reader;
}

ExportReader::ExportReader(std::string directory, EndMarker end)
    : directory_(std::move(directory)), end_(std::move(end)) {}

ExportReader::~ExportReader() = default;

uint64_t ExportReader::bytes_total() const {
  uint64_t bytes = 0;
  for (const auto& [name, file] : end_.files) bytes += file.bytes;
  return bytes;
}

absl::Status ExportReader::CheckFiles(
    const std::function<bool(uint64_t)>& progress) {
  uint64_t read = 0;
  std::string piece;
  for (const auto& [name, known] : end_.files) {
    const std::string path = absl::StrCat(directory_, "/", name);
    RETURN_IF_ERROR(CheckRegular(path));
    std::ifstream file(path, std::ios::binary);
    if (!file) return Incomplete(path, "it cannot be read");
    EndMarker::File found;
    Sha256 sha256;
    do {
      piece.resize(kReadBytes);
      file.read(piece.data(), static_cast<std::streamsize>(kReadBytes));
      piece.resize(static_cast<size_t>(file.gcount()));
      sha256.Add(piece);
      found.bytes += piece.size();
      read += piece.size();
      if (progress && !progress(read)) {
        return absl::CancelledError("stopped while files were checked");
      }
    } while (!piece.empty() && found.bytes <= known.bytes);
    found.sha256 = sha256.Hex();
    if (found == known) continue;
    return BadExport(
        absl::StatusCode::kInvalidArgument, "EXPORT_CHANGED", path,
        found.bytes == known.bytes
            ? std::string("its checksum is not that of the end marker")
            : absl::StrCat("it has ",
                           found.bytes < known.bytes ? absl::StrCat(found.bytes)
                                                     : std::string("more"),
                           " bytes; the end marker says ", known.bytes));
  }
  return absl::OkStatus();
}

absl::Status ExportReader::CheckNames() const {
  bool fits = end_.files.contains(kEntriesFile) == is_text();
  if (is_text()) {
    fits = fits && end_.files.size() == 2;
  } else {
    // All but the manifest are tokens', without a gap.
    for (uint64_t number = 0; fits && number + 1 < end_.files.size();
         ++number) {
      fits = end_.files.contains(TokensFileName(number));
    }
  }
  if (fits) return absl::OkStatus();
  return Malformed(directory_,
                   is_text() ? "a session of text has session.json and "
                               "entries.jsonl"
                             : "a session of tensors has session.json and "
                               "tokens-NNNNNN.safetensors from 000000 on");
}

absl::StatusOr<std::optional<v1::ImportSessionRequest>> ExportReader::Next() {
  v1::ImportSessionRequest part;
  bool more = false;
  if (is_text()) {
    ASSIGN_OR_RETURN(more, NextEntries(*part.mutable_entries()));
  } else {
    ASSIGN_OR_RETURN(more, NextTokens(*part.mutable_tokens()));
  }
  if (more) return part;
  if (std::exchange(ended_, true)) return std::nullopt;
  RETURN_IF_ERROR(CheckEnd());
  part.mutable_end()->set_entries(end_.entries);
  part.mutable_end()->set_tokens(end_.tokens);
  return part;
}

absl::StatusOr<bool> ExportReader::NextEntries(v1::ExportedEntries& entries) {
  if (!lines_) {
    lines_ =
        std::make_unique<Lines>(absl::StrCat(directory_, "/", kEntriesFile));
  }
  std::string line;
  size_t bytes = 0;
  while (bytes < kPartBytes) {
    ASSIGN_OR_RETURN(const bool more, lines_->Next(line));
    if (!more) break;
    absl::StatusOr<v1::ExportedEntry> entry = EntryFromLine(line);
    if (!entry.ok()) return base::Annotate(entry.status(), lines_->where());
    if (entry->entry() < entry_next_ || entry->seq_first() < seq_next_ ||
        entry->seq_first() + entry->seq_count() < entry->seq_first()) {
      return Malformed(
          lines_->where(),
          absl::StrCat("entry ", entry->entry(), " at seq ", entry->seq_first(),
                       " does not follow the one before"));
    }
    entry_next_ = entry->entry() + 1;
    seq_next_ = entry->seq_first() + entry->seq_count();
    ++seen_.entries;
    seen_.tokens += entry->seq_count();
    bytes += entry->ByteSizeLong();
    bytes_done_ += line.size() + 1;
    *entries.add_entries() = *std::move(entry);
  }
  return bytes > 0;
}

absl::StatusOr<bool> ExportReader::NextTokens(v1::ExportedTokens& tokens) {
  if (!tokens_ || tokens_->done()) {
    tokens_.reset();
    if (token_files_ + 1 == end_.files.size()) return false;
    RETURN_IF_ERROR(OpenTokens());
  }
  tokens = tokens_->Next(kPartBytes);
  bytes_done_ +=
      tokens.rows().keys().data().size() + tokens.rows().values().data().size();
  return true;
}

absl::Status ExportReader::OpenTokens() {
  const std::string path =
      absl::StrCat(directory_, "/", TokensFileName(token_files_++));
  ASSIGN_OR_RETURN(Safetensors content, ReadSafetensors(path));
  absl::StatusOr<TokenFile> file = TokenFile::Create(std::move(content));
  if (!file.ok()) return base::Annotate(file.status(), path);
  if (file->seq_first() != seq_next_) {
    return Malformed(path,
                     absl::StrCat("its tokens start at seq ", file->seq_first(),
                                  "; expected ", seq_next_));
  }
  seq_next_ += file->count();
  seen_.tokens += file->count() - file->forgotten();
  tokens_ = *std::move(file);
  return absl::OkStatus();
}

absl::Status ExportReader::CheckEnd() const {
  if (seen_.entries != end_.entries || seen_.tokens != end_.tokens) {
    return Malformed(directory_,
                     absl::StrCat("there are ", seen_.entries, " entries and ",
                                  seen_.tokens, " tokens; the end marker says ",
                                  end_.entries, " and ", end_.tokens));
  }
  if (!is_text() && seq_next_ != manifest_.seq_next()) {
    return Malformed(
        directory_, absl::StrCat("tokens end at seq ", seq_next_,
                                 "; the manifest says ", manifest_.seq_next()));
  }
  return absl::OkStatus();
}

}  // namespace mneme::client
