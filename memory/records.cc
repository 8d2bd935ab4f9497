#include "memory/records.h"

#include <utility>

#include "base/status_macros.h"

namespace mneme::memory {

void PutRecord(RecordKind kind, std::string key, std::string_view payload,
               WriteBatch& batch) {
  std::string record = SealRecord(kind, key, payload);
  batch.Put(std::move(key), std::move(record));
}

absl::Status ScanRecords(
    const Store& store, const KeyRange& range, RecordKind kind,
    const std::function<bool(std::string_view, std::string_view)>& visit) {
  absl::Status sound;
  RETURN_IF_ERROR(
      store.Scan(range.first, range.second,
                 [&](std::string_view key, std::string_view record) {
                   const auto payload = OpenRecord(kind, key, record);
                   if (!payload.ok()) {
                     sound = payload.status();
                   } else if (!visit(key, *payload)) {
                     sound = MalformedRecord(kind, key);
                   }
                   return sound.ok();
                 }));
  return sound;
}

}  // namespace mneme::memory
