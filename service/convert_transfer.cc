#include "service/convert_transfer.h"

#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "service/convert.h"
#include "service/convert_lifecycle.h"
#include "service/convert_profile.h"
#include "service/convert_tensor.h"
#include "service/convert_time.h"

namespace mneme::service {
namespace {

void SetRows(std::string bytes, uint32_t dim, int64_t count,
             const memory::Profile& profile, v1::Tensor* tensor) {
  tensor->set_data_type(DTypeToProto(profile.dtype));
  tensor->add_shape(profile.layers);
  tensor->add_shape(profile.kv_heads);
  tensor->add_shape(count);
  tensor->add_shape(dim);
  *tensor->mutable_data() = std::move(bytes);
}

}  // namespace

void SetManifest(const memory::SessionName& name,
                 const memory::Manifest& manifest, v1::SessionManifest* proto) {
  proto->set_version(kTransferVersion);
  proto->set_session(name.ToString());
  *proto->mutable_profile() = ProfileToProto(manifest.profile);
  proto->set_seq_next(manifest.seq_next);
  proto->set_position_next(manifest.position_next);
  proto->set_committed_seq(manifest.committed_seq);
  proto->set_entry_next(manifest.entry_next);
  SetTime(manifest.create_time_us, proto->mutable_create_time());
  SetTime(manifest.update_time_us, proto->mutable_update_time());
  if (manifest.ttl_us > 0) SetTtl(manifest.ttl_us, proto->mutable_ttl());
}

void SetExportedEntry(const memory::Entry& entry, v1::ExportedEntry* proto) {
  proto->set_entry(entry.number);
  proto->set_text(entry.text);
  proto->set_role(entry.role);
  SetTime(entry.time_us, proto->mutable_time());
  proto->set_source(entry.source);
  proto->set_source_offset(entry.source_offset);
  proto->mutable_metadata()->insert(entry.metadata.begin(),
                                    entry.metadata.end());
  proto->set_seq_first(entry.seq_first);
  proto->set_seq_count(entry.seq_count);
}

void SetExportedTokens(memory::ExportedRows rows,
                       const memory::Profile& profile,
                       v1::ExportedTokens* proto) {
  const auto count = static_cast<int64_t>(rows.positions.size());
  proto->set_seq_first(rows.seq_first);
  v1::TokenRows& tokens = *proto->mutable_rows();
  SetRows(std::move(rows.keys), profile.key_dim, count, profile,
          tokens.mutable_keys());
  SetRows(std::move(rows.values), profile.value_dim, count, profile,
          tokens.mutable_values());
  tokens.mutable_positions()->Add(rows.positions.begin(), rows.positions.end());
  for (const memory::SeqRange& range : rows.forgotten) {
    v1::SeqRange& forgotten = *proto->add_forgotten();
    forgotten.set_begin(range.begin);
    forgotten.set_end(range.end);
  }
}

absl::StatusOr<memory::Manifest> ManifestFromProto(
    const v1::SessionManifest& proto) {
  if (proto.version() == 0) {
    return base::InvalidField("manifest.version", "0",
                              absl::StrCat(kTransferVersion));
  }
  if (proto.version() > kTransferVersion) {
    return base::Error(
        absl::StatusCode::kFailedPrecondition,
        absl::StrCat("manifest.version: got ", proto.version(),
                     "; this release reads up to ", kTransferVersion),
        {.reason = "FORMAT_TOO_NEW", .field = "manifest.version"});
  }
  memory::Manifest manifest;
  ASSIGN_OR_RETURN(manifest.profile, ProfileFromProto(proto.profile()));
  manifest.seq_next = proto.seq_next();
  manifest.position_next = proto.position_next();
  manifest.committed_seq = proto.committed_seq();
  manifest.entry_next = proto.entry_next();
  ASSIGN_OR_RETURN(
      manifest.create_time_us,
      MicrosFromProto(proto.create_time(), "manifest.create_time"));
  ASSIGN_OR_RETURN(
      manifest.update_time_us,
      MicrosFromProto(proto.update_time(), "manifest.update_time"));
  if (proto.has_ttl()) {
    ASSIGN_OR_RETURN(manifest.ttl_us, TtlFromProto(proto.ttl()));
  }
  return manifest;
}

absl::StatusOr<memory::Entry> EntryFromProto(const v1::ExportedEntry& proto) {
  // Spans in the source are this plus a place in the text: no wrapping.
  const uint64_t offset_max =
      std::numeric_limits<uint64_t>::max() - proto.text().size();
  if (proto.source_offset() > offset_max) {
    return base::InvalidField("entry.source_offset",
                              absl::StrCat(proto.source_offset()),
                              absl::StrCat("at most ", offset_max));
  }
  memory::Entry entry;
  entry.number = proto.entry();
  entry.text = proto.text();
  entry.role = proto.role();
  ASSIGN_OR_RETURN(entry.time_us, MicrosFromProto(proto.time(), "entry.time"));
  entry.source = proto.source();
  entry.source_offset = proto.source_offset();
  entry.metadata.insert(proto.metadata().begin(), proto.metadata().end());
  entry.seq_first = proto.seq_first();
  entry.seq_count = proto.seq_count();
  return entry;
}

absl::StatusOr<ImportedTokens> TokensFromProto(const v1::ExportedTokens& proto,
                                               const memory::Profile& profile) {
  ImportedTokens tokens;
  ASSIGN_OR_RETURN(tokens.rows, TokenRowsFromProto(proto.rows(), profile));
  for (const v1::SeqRange& range : proto.forgotten()) {
    if (!range.has_end()) {
      return base::InvalidField("tokens.forgotten", "a range without an end",
                                "both ends");
    }
    tokens.forgotten.push_back({range.begin(), range.end()});
  }
  return tokens;
}

}  // namespace mneme::service
