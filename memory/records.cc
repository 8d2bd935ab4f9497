#include "memory/records.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"

namespace mneme::memory {
namespace {

absl::Status WithRange(const absl::Status& status, std::string_view key) {
  const std::optional<SeqRange> rows = RowsAt(key);
  if (!rows) return status;
  return base::WithFacts(status, {{"seq_begin", absl::StrCat(rows->begin)},
                                  {"seq_end", absl::StrCat(rows->end)}});
}

}  // namespace

void PutRecord(RecordKind kind, std::string key, std::string_view payload,
               WriteBatch& batch) {
  std::string record = SealRecord(kind, key, payload);
  batch.Put(std::move(key), std::move(record));
}

absl::Status ScanRecords(
    const StoreView& store, const KeyRange& range, RecordKind kind,
    const std::function<bool(std::string_view, std::string_view)>& visit) {
  absl::Status sound;
  RETURN_IF_ERROR(
      store.Scan(range.first, range.second,
                 [&](std::string_view key, std::string_view record) {
                   const auto payload = OpenRecord(kind, key, record);
                   if (!payload.ok()) {
                     sound = WithRange(payload.status(), key);
                   } else if (!visit(key, *payload)) {
                     sound = WithRange(MalformedRecord(kind, key), key);
                   }
                   return sound.ok();
                 }));
  return sound;
}

}  // namespace mneme::memory
