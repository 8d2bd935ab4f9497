#include "client/export_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "client/entry_line.h"
#include "client/request_id.h"
#include "client/safetensors.h"
#include "client/token_file.h"

namespace mneme::client {
namespace {

constexpr size_t kWriteBytes = 1 << 20;

absl::Status FileError(int error, const std::string& doing,
                       const std::string& path) {
  const absl::Status status =
      absl::ErrnoToStatus(error, absl::StrCat("cannot ", doing, " ", path));
  return base::Error(
      status.code(), std::string(status.message()),
      {.reason = "FILE_UNWRITABLE", .metadata = {{"path", path}}});
}

absl::Status BadPart(std::string_view what) {
  return base::Error(absl::StatusCode::kDataLoss,
                     absl::StrCat("the server gave ", std::string(what)),
                     {.reason = "BAD_PART"});
}

absl::Status SyncDirectory(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return FileError(errno, "open", path);
  const absl::Status synced =
      ::fsync(file) == 0 ? absl::OkStatus() : FileError(errno, "sync", path);
  ::close(file);
  return synced;
}

// The path without a slash at its end.
std::string Plain(const std::string& path) {
  const auto plain = std::filesystem::path(path).lexically_normal();
  return (plain.has_filename() ? plain : plain.parent_path()).string();
}

}  // namespace

// A new file, its size and checksum.
class ExportWriter::File {
 public:
  static absl::StatusOr<std::unique_ptr<File>> Create(const std::string& path) {
    const int file =
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0) return FileError(errno, "write", path);
    return std::unique_ptr<File>(new File(file, path));
  }
  ~File() {
    if (file_ >= 0) ::close(file_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  absl::Status Add(std::string_view bytes) {
    facts_.bytes += bytes.size();
    sha256_.Add(bytes);
    if (pending_.size() + bytes.size() < kWriteBytes) {
      pending_.append(bytes);
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(Flush());
    return Write(bytes);
  }

  absl::StatusOr<EndMarker::File> Close() {
    RETURN_IF_ERROR(Flush());
    if (::fsync(file_) != 0) return FileError(errno, "sync", path_);
    if (::close(std::exchange(file_, -1)) != 0) {
      return FileError(errno, "close", path_);
    }
    facts_.sha256 = sha256_.Hex();
    return facts_;
  }

 private:
  File(int file, std::string path) : file_(file), path_(std::move(path)) {}

  absl::Status Flush() {
    const std::string pending = std::exchange(pending_, {});
    return Write(pending);
  }

  absl::Status Write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return FileError(errno, "write", path_);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return absl::OkStatus();
  }

  int file_;
  const std::string path_;
  std::string pending_;
  Sha256 sha256_;
  EndMarker::File facts_;
};

absl::StatusOr<std::unique_ptr<ExportWriter>> ExportWriter::Create(
    const std::string& directory) {
  const std::string path = Plain(directory);
  if (path.empty()) {
    return base::InvalidField("--out", base::Quoted(directory),
                              "a directory to make");
  }
  std::error_code error;
  if (std::filesystem::exists(std::filesystem::symlink_status(path, error))) {
    return base::Error(absl::StatusCode::kAlreadyExists,
                       absl::StrCat(path, " exists already"),
                       {.reason = "FILE_EXISTS", .metadata = {{"path", path}}});
  }
  const std::string temporary = absl::StrCat(path, ".", RandomRequestId());
  if (::mkdir(temporary.c_str(), 0777) != 0) {
    return FileError(errno, "make a directory beside", path);
  }
  return std::unique_ptr<ExportWriter>(new ExportWriter(path, temporary));
}

ExportWriter::ExportWriter(std::string directory, std::string temporary)
    : directory_(std::move(directory)), temporary_(std::move(temporary)) {}

ExportWriter::~ExportWriter() {
  if (finished_) return;
  std::error_code error;  // It stays then, under a name that says what it is.
  std::filesystem::remove_all(temporary_, error);
}

absl::Status ExportWriter::Add(const v1::ExportSessionResponse& part) {
  if (has_end_) return BadPart("a part behind the end");
  if (part.has_manifest() == has_manifest_) {
    return BadPart("the manifest not as its first part, or twice");
  }
  switch (part.part_case()) {
    case v1::ExportSessionResponse::kManifest:
      return AddManifest(part.manifest());
    case v1::ExportSessionResponse::kEntries:
      return AddEntries(part.entries());
    case v1::ExportSessionResponse::kTokens:
      return AddTokens(part.tokens());
    case v1::ExportSessionResponse::kEnd:
      return AddEnd(part.end());
    default:
      return BadPart("a part of a kind that this release does not know");
  }
}

absl::Status ExportWriter::AddManifest(const v1::SessionManifest& manifest) {
  has_manifest_ = true;
  RETURN_IF_ERROR(WriteFile(kManifestFile, EncodeManifest(manifest)));
  if (manifest.profile().text_encoder().empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(entries_,
                   File::Create(absl::StrCat(temporary_, "/", kEntriesFile)));
  return absl::OkStatus();
}

absl::Status ExportWriter::AddEntries(const v1::ExportedEntries& entries) {
  if (!entries_) return BadPart("entries of a session of tensors");
  for (const v1::ExportedEntry& entry : entries.entries()) {
    ASSIGN_OR_RETURN(const std::string line, EntryToLine(entry));
    RETURN_IF_ERROR(entries_->Add(line));
    RETURN_IF_ERROR(entries_->Add("\n"));
    ++end_.entries;
    end_.tokens += entry.seq_count();
  }
  return absl::OkStatus();
}

absl::Status ExportWriter::AddTokens(const v1::ExportedTokens& tokens) {
  if (entries_) return BadPart("tokens of a session of text");
  end_.tokens += tokens.rows().positions_size();
  for (const v1::SeqRange& range : tokens.forgotten()) {
    end_.tokens -= range.end() - range.begin();
  }
  token_bytes_ +=
      tokens.rows().keys().data().size() + tokens.rows().values().data().size();
  tokens_.push_back(tokens);
  return token_bytes_ < kTokenFileBytes ? absl::OkStatus() : WriteTokens();
}

absl::Status ExportWriter::AddEnd(const v1::ExportEnd& end) {
  has_end_ = true;
  if (end.entries() != end_.entries || end.tokens() != end_.tokens) {
    return BadPart(absl::StrCat(end_.entries, " entries and ", end_.tokens,
                                " tokens, and says that it gave ",
                                end.entries(), " and ", end.tokens()));
  }
  return absl::OkStatus();
}

absl::Status ExportWriter::WriteTokens() {
  if (tokens_.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Safetensors content,
                   TokenFileOf(std::exchange(tokens_, {})));
  token_bytes_ = 0;
  ASSIGN_OR_RETURN(const std::string bytes, EncodeSafetensors(content));
  return WriteFile(TokensFileName(token_files_++), bytes);
}

absl::Status ExportWriter::WriteFile(const std::string& name,
                                     std::string_view bytes) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                   File::Create(absl::StrCat(temporary_, "/", name)));
  RETURN_IF_ERROR(file->Add(bytes));
  ASSIGN_OR_RETURN(end_.files[name], file->Close());
  return absl::OkStatus();
}

absl::Status ExportWriter::Finish() {
  if (!has_end_) return BadPart("no end: the export is not whole");
  RETURN_IF_ERROR(WriteTokens());
  if (entries_) {
    ASSIGN_OR_RETURN(end_.files[kEntriesFile], entries_->Close());
  }
  const EndMarker marker = end_;  // It does not list itself.
  RETURN_IF_ERROR(WriteFile(kEndFile, EncodeEndMarker(marker)));
  end_ = marker;
  RETURN_IF_ERROR(SyncDirectory(temporary_));
  if (::rename(temporary_.c_str(), directory_.c_str()) != 0) {
    return FileError(errno, "name the directory", directory_);
  }
  finished_ = true;
  const auto parent = std::filesystem::path(directory_).parent_path();
  return SyncDirectory(parent.empty() ? "." : parent.string());
}

uint64_t ExportWriter::bytes() const {
  uint64_t bytes = token_bytes_;
  for (const auto& [name, file] : end_.files) bytes += file.bytes;
  return bytes;
}

}  // namespace mneme::client
