// memory/records.h: records in a store.

#ifndef MNEME_MEMORY_RECORDS_H_
#define MNEME_MEMORY_RECORDS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "memory/keys.h"
#include "memory/record.h"
#include "memory/store.h"

namespace mneme::memory {

// Adds the sealed record to `batch`.
void PutRecord(RecordKind kind, std::string key, std::string_view payload,
               WriteBatch& batch);

// Visits the payloads of the records of one kind in `range`, in order, until
// `visit` returns false, which says that the payload does not decode.
// Errors: DATA_LOSS for such a payload and for a record that is not sound, with
// the range of seqs in its metadata where rows are concerned; the store's.
absl::Status ScanRecords(
    const StoreView& store, const KeyRange& range, RecordKind kind,
    const std::function<bool(std::string_view key, std::string_view payload)>&
        visit);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_RECORDS_H_
