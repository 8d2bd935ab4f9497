// Any bytes as a request: refused by name of a field, or turned into something
// that is bounded and says what the request said.
// Input: one byte that chooses the message, then the message.

#include <algorithm>
#include <cmath>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "base/error.h"
#include "google/protobuf/stubs/logging.h"
#include "memory/import.h"
#include "memory/presets.h"
#include "memory/profile.h"
#include "memory/profile_record.h"
#include "service/convert.h"
#include "service/convert_profile.h"
#include "service/convert_transfer.h"
#include "service/listen_address.h"
#include "service/page_token.h"
#include "tests/testing/map_store.h"

namespace mneme::service {
namespace {

memory::Profile TensorProfile() {
  memory::Profile profile;
  profile.layers = 2;
  profile.query_heads = 4;
  profile.kv_heads = 2;
  profile.key_dim = 2;
  profile.value_dim = 1;
  profile.knn = memory::KnnTier{.top_k = 2};
  return memory::Complete(profile).value();
}

// Whose mistake it is must be clear, and in which field.
void CheckRefusal(const absl::Status& status) {
  CHECK(absl::IsInvalidArgument(status) || absl::IsFailedPrecondition(status) ||
        absl::IsNotFound(status));  // A preset that nobody knows.
  const base::ErrorDetail detail = base::DetailOf(status);
  CHECK(!detail.reason.empty());
  CHECK(!detail.field.empty() || absl::IsFailedPrecondition(status));
}

template <typename Message>
bool Parse(std::string_view bytes, Message& message) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

void ConvertsAppend(std::string_view bytes) {
  static const memory::Profile& profile = *new memory::Profile(TensorProfile());
  v1::AppendRequest request;
  if (!Parse(bytes, request)) return;
  const auto options = AppendOptionsFromProto(request);
  if (!options.ok()) CheckRefusal(options.status());
  const auto entry = TextEntryFromProto(request.text());
  if (!entry.ok()) {
    CheckRefusal(entry.status());
  } else {
    CHECK(entry->text == request.text().text());
    CHECK(entry->source_offset + entry->text.size() >= entry->source_offset);
  }
  const auto rows = TokenRowsFromProto(request.tokens(), profile);
  if (!rows.ok()) {
    CheckRefusal(rows.status());
    return;
  }
  CHECK(rows->count > 0);
  CHECK(rows->keys.size() ==
        rows->count * profile.bank_count() * profile.key_bytes());
  CHECK(rows->values.size() ==
        rows->count * profile.bank_count() * profile.value_bytes());
  CHECK(rows->positions.empty() || rows->positions.size() == rows->count);
}

void ConvertsAttend(std::string_view bytes) {
  static const memory::Profile& profile = *new memory::Profile(TensorProfile());
  v1::AttendRequest request;
  if (!Parse(bytes, request)) return;
  const auto query = AttendQueryFromProto(request, profile);
  if (!query.ok()) {
    CheckRefusal(query.status());
    return;
  }
  CHECK(!query->reads.empty());
  for (const memory::LayerRead& read : query->reads) {
    CHECK(read.layer < profile.layers);
    CHECK(read.queries.size() ==
          read.rows * profile.query_heads * profile.key_dim);
    CHECK(read.positions.empty() || read.positions.size() == read.rows);
    CHECK(std::all_of(read.queries.begin(), read.queries.end(),
                      [](float x) { return std::isfinite(x); }));
  }
}

void ConvertsRecall(std::string_view bytes) {
  v1::RecallRequest request;
  if (!Parse(bytes, request)) return;
  const auto query = RecallQueryFromProto(request);
  if (!query.ok()) {
    CheckRefusal(query.status());
    return;
  }
  CHECK(query->limit >= 1 && query->limit <= memory::kRecallLimitMax);
  CHECK(!query->query.empty());
}

void ConvertsContext(std::string_view bytes) {
  v1::AssembleContextRequest request;
  if (!Parse(bytes, request)) return;
  const auto query = ContextQueryFromProto(request);
  if (!query.ok()) {
    CheckRefusal(query.status());
    return;
  }
  CHECK(query->budget_tokens >= 1);
  CHECK(query->budget_tokens <= memory::kBudgetTokensMax);
  CHECK(query->recent_entries <= memory::kRecentEntriesMax);
}

// A complete profile comes back from the disk as it went, and from the wire
// with every default filled in.
void ConvertsProfile(std::string_view bytes) {
  v1::Profile proto;
  if (!Parse(bytes, proto)) return;
  const auto sent = ProfileFromProto(proto);
  if (!sent.ok()) {
    CheckRefusal(sent.status());
    return;
  }
  const auto profile = memory::Complete(*sent);
  if (!profile.ok()) {
    CheckRefusal(profile.status());
    return;
  }
  const v1::Profile filled = ProfileToProto(*profile);
  const auto returned = ProfileFromProto(filled);
  CHECK(returned.ok());
  const auto completed = memory::Complete(*returned);
  CHECK(completed.ok());
  CHECK(ProfileToProto(*completed).SerializeAsString() ==
        filled.SerializeAsString());
  const std::string stored = memory::EncodeProfile(*profile);
  const auto read = memory::DecodeProfile(stored);
  CHECK(read.ok() && memory::EncodeProfile(*read) == stored);
}

void ReadsPageToken(std::string_view bytes) {
  const auto after = DecodePageToken(bytes, "default");
  if (!after.ok()) {
    CheckRefusal(after.status());
    return;
  }
  if (bytes.empty()) return;
  CHECK(!after->empty());
  const std::string again =
      EncodePageToken({.space = "default", .session = *after});
  CHECK(DecodePageToken(again, "default").value() == *after);
}

void ReadsListenAddress(std::string_view bytes) {
  const auto address = ParseListenAddress(bytes, "listen");
  if (!address.ok()) {
    CheckRefusal(address.status());
    return;
  }
  const auto again = ParseListenAddress(address->ToString(address->port), "a");
  CHECK(again.ok() && again->is_local() == address->is_local());
  const absl::Status local = CheckLocal(*address, "listen", "why");
  CHECK(local.ok() == address->is_local());
}

// Parts of an import, each with its length before it: imported or refused, and
// in either case nothing is left when it is dropped before its end.
void Imports(std::string_view bytes) {
  static const memory::Profile& tensors = *new memory::Profile(TensorProfile());
  static const memory::Profile& text =
      *new memory::Profile(memory::ProfileByName("text").value());
  base::ByteReader in(bytes);
  v1::SessionManifest proto;
  const bool is_text = in.Number<uint8_t>() % 2 == 1;
  if (!Parse(in.Text(), proto)) return;
  auto manifest = ManifestFromProto(proto);
  if (!manifest.ok()) {
    CheckRefusal(manifest.status());
    return;
  }
  manifest->profile = is_text ? text : tensors;
  const auto disk = std::make_shared<testing::MapDisk>();
  testing::MapStore store(disk);
  auto import =
      memory::SessionImport::Start(&store,
                                   {.header = {.profile = manifest->profile},
                                    .branch = {.uid = 1, .trunks = {}}},
                                   *manifest);
  absl::Status status = import.status();
  const auto never = [] { return false; };
  while (status.ok() && in.left() > 0) {
    v1::ImportSessionRequest part;
    if (!Parse(in.Text(), part)) break;
    for (const v1::ExportedEntry& entry : part.entries().entries()) {
      const auto sent = EntryFromProto(entry);
      status = sent.ok() ? (*import)->AddEntry(*sent, never) : sent.status();
      if (!status.ok()) break;
    }
    if (status.ok() && part.has_tokens()) {
      const auto sent = TokensFromProto(part.tokens(), manifest->profile);
      status = sent.ok() ? (*import)->AddRows(part.tokens().seq_first(),
                                              sent->rows, sent->forgotten)
                         : sent.status();
    }
    if (status.ok() && part.has_end()) {
      status = (*import)->End(part.end().entries(), part.end().tokens(), never);
      if (status.ok()) CHECK(!(*import)->TakeLast(0).operations.empty());
      break;
    }
  }
  if (!status.ok() && !absl::IsResourceExhausted(status)) CheckRefusal(status);
  if (import.ok()) import->reset();
  base::MutexLock lock(&disk->mutex);
  CHECK(disk->records.empty());
}

}  // namespace
}  // namespace mneme::service

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mneme::service;
  // It logs every string that is not UTF-8.
  static const google::protobuf::LogSilencer silencer;
  constexpr void (*kTargets[])(std::string_view) = {
      ConvertsAppend,  ConvertsAttend, ConvertsRecall,     ConvertsContext,
      ConvertsProfile, ReadsPageToken, ReadsListenAddress, Imports};
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  kTargets[data[0] % std::size(kTargets)](bytes.substr(1));
  return 0;
}
