// client/export_writer.h: parts of an export become files.

#ifndef MNEME_CLIENT_EXPORT_WRITER_H_
#define MNEME_CLIENT_EXPORT_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/export_form.h"
#include "client/sha256.h"
#include "mneme/v1/transfer_service.pb.h"

namespace mneme::client {

// Keys and values in one file of tokens, before the part that exceeds it. A
// file is held in memory while it is read or written.
inline constexpr size_t kTokenFileBytes = 64 << 20;

// Writes into a new directory beside the wanted one, which gets its name when
// all is on the disk: the directory is there whole or not at all.
// Threads: one.
class ExportWriter {
 public:
  // Errors: ALREADY_EXISTS for a path that is taken; what the file system says.
  static absl::StatusOr<std::unique_ptr<ExportWriter>> Create(
      const std::string& directory);
  // Removes what was written, unless Finish succeeded.
  ~ExportWriter();
  ExportWriter(const ExportWriter&) = delete;
  ExportWriter& operator=(const ExportWriter&) = delete;

  // Errors: DATA_LOSS for a part out of order, or whose counts are not those of
  // what came; RESOURCE_EXHAUSTED and others of the file system.
  absl::Status Add(const v1::ExportSessionResponse& part);
  // Errors: DATA_LOSS when the end has not come; the file system's.
  absl::Status Finish();

  const EndMarker& end() const { return end_; }
  uint64_t bytes() const;

 private:
  class File;

  ExportWriter(std::string directory, std::string temporary);
  absl::Status AddManifest(const v1::SessionManifest& manifest);
  absl::Status AddEntries(const v1::ExportedEntries& entries);
  absl::Status AddTokens(const v1::ExportedTokens& tokens);
  absl::Status AddEnd(const v1::ExportEnd& end);
  absl::Status WriteTokens();
  absl::Status CloseEntries();
  absl::Status WriteFile(const std::string& name, std::string_view bytes);

  const std::string directory_;
  const std::string temporary_;
  std::unique_ptr<File> entries_;
  std::vector<v1::ExportedTokens> tokens_;
  size_t token_bytes_ = 0;
  uint64_t token_files_ = 0;
  EndMarker end_;
  bool has_manifest_ = false;
  bool has_end_ = false;
  bool finished_ = false;
};

}  // namespace mneme::client

#endif  // MNEME_CLIENT_EXPORT_WRITER_H_
