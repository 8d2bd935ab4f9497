// client/entry_line.h: an entry as a line of JSON.

#ifndef MNEME_CLIENT_ENTRY_LINE_H_
#define MNEME_CLIENT_ENTRY_LINE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "mneme/v1/transfer_service.pb.h"

namespace mneme::client {

// One JSON object without a line break; doc/export.md lists its keys.
// Errors: DATA_LOSS for words that are not UTF-8, which no server should give.
absl::StatusOr<std::string> EntryToLine(const v1::ExportedEntry& entry);

// Errors: INVALID_ARGUMENT that names the key, for one that is missing,
// unknown, twice there or of another type, and for what is no JSON.
absl::StatusOr<v1::ExportedEntry> EntryFromLine(std::string_view line);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_ENTRY_LINE_H_
