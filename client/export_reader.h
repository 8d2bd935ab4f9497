// client/export_reader.h: files of an exported session become parts of an
// import.

#ifndef MNEME_CLIENT_EXPORT_READER_H_
#define MNEME_CLIENT_EXPORT_READER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/export_form.h"
#include "client/token_file.h"
#include "mneme/v1/transfer_service.pb.h"

namespace mneme::client {

// Threads: one.
class ExportReader {
 public:
  // Reads every file once and compares sizes and checksums; `progress` gets the
  // bytes read so far, and stops it by returning false.
  // Errors: NOT_FOUND without a directory; INVALID_ARGUMENT EXPORT_INCOMPLETE
  // without an end marker or a file of it, EXPORT_CHANGED for a file that is
  // not as it was written, BAD_EXPORT; FAILED_PRECONDITION FORMAT_TOO_NEW;
  // CANCELLED.
  static absl::StatusOr<std::unique_ptr<ExportReader>> Open(
      const std::string& directory,
      const std::function<bool(uint64_t)>& progress = {});
  ~ExportReader();
  ExportReader(const ExportReader&) = delete;
  ExportReader& operator=(const ExportReader&) = delete;

  const v1::SessionManifest& manifest() const { return manifest_; }
  const EndMarker& end() const { return end_; }
  // Of all files.
  uint64_t bytes_total() const;
  uint64_t bytes_done() const { return bytes_done_; }

  // The next part, the end last; then nothing.
  // Errors: INVALID_ARGUMENT that names file and line or tensor, for what does
  // not parse, does not follow, or is not as many as the end marker says.
  absl::StatusOr<std::optional<v1::ImportSessionRequest>> Next();

 private:
  class Lines;

  ExportReader(std::string directory, EndMarker end);
  absl::Status CheckFiles(const std::function<bool(uint64_t)>& progress);
  absl::Status CheckNames() const;
  bool is_text() const { return !manifest_.profile().text_encoder().empty(); }
  absl::StatusOr<bool> NextEntries(v1::ExportedEntries& entries);
  absl::StatusOr<bool> NextTokens(v1::ExportedTokens& tokens);
  absl::Status OpenTokens();
  absl::Status CheckEnd() const;

  const std::string directory_;
  const EndMarker end_;
  v1::SessionManifest manifest_;
  uint64_t bytes_done_ = 0;
  std::unique_ptr<Lines> lines_;
  std::optional<TokenFile> tokens_;
  uint64_t token_files_ = 0;
  uint64_t seq_next_ = 0;
  uint64_t entry_next_ = 1;
  EndMarker seen_;  // Only the counts.
  bool ended_ = false;
};

}  // namespace mneme::client

#endif  // MNEME_CLIENT_EXPORT_READER_H_
