// service/convert_transfer.h: parts of an export and of an import.

#ifndef MNEME_SERVICE_CONVERT_TRANSFER_H_
#define MNEME_SERVICE_CONVERT_TRANSFER_H_

#include <vector>

#include "absl/status/statusor.h"
#include "memory/export.h"
#include "memory/manifest.h"
#include "memory/seq_set.h"
#include "memory/session_name.h"
#include "memory/text_index.h"
#include "memory/types.h"
#include "mneme/v1/transfer_service.pb.h"

namespace mneme::service {

// The version of the form that this release writes, and the last it reads.
inline constexpr uint32_t kTransferVersion = 1;

void SetManifest(const memory::SessionName& name,
                 const memory::Manifest& manifest, v1::SessionManifest* proto);
void SetExportedEntry(const memory::Entry& entry, v1::ExportedEntry* proto);
// Takes the rows' bytes.
void SetExportedTokens(memory::ExportedRows rows,
                       const memory::Profile& profile,
                       v1::ExportedTokens* proto);

// The profile is as ProfileFromProto leaves it.
// Errors:   INVALID_ARGUMENT on a field below "manifest" or "profile";
//           FAILED_PRECONDITION FORMAT_TOO_NEW for a later version.
absl::StatusOr<memory::Manifest> ManifestFromProto(
    const v1::SessionManifest& proto);

// Errors:   INVALID_ARGUMENT on a field below "entry".
absl::StatusOr<memory::Entry> EntryFromProto(const v1::ExportedEntry& proto);

// Lifetime: `rows` borrows from the message.
struct ImportedTokens {
  memory::TokenRows rows;
  std::vector<memory::SeqRange> forgotten;
};
// Errors:   as TokenRowsFromProto; INVALID_ARGUMENT for a range without an end.
absl::StatusOr<ImportedTokens> TokensFromProto(const v1::ExportedTokens& proto,
                                               const memory::Profile& profile);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_CONVERT_TRANSFER_H_
