// memory/entries.h: entries and their terms, as records.

#ifndef MNEME_MEMORY_ENTRIES_H_
#define MNEME_MEMORY_ENTRIES_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "memory/branch.h"
#include "memory/seq_set.h"
#include "memory/store.h"
#include "memory/text_index.h"

namespace mneme::memory {

void PutEntry(uint64_t uid, const Entry& entry, const EntryTerms& terms,
              WriteBatch& batch);

void DeleteEntry(uint64_t uid, uint64_t number, WriteBatch& batch);

void PutForgotten(uint64_t uid, SeqRange range, WriteBatch& batch);

// Errors of all: DATA_LOSS for a record that is not sound; the store's.
absl::StatusOr<EntryTerms> ReadTerms(const Store& store, uint64_t uid,
                                     const Entry& entry);
// Those that are not forgotten.
absl::Status LoadEntries(const Store& store, const Branch& branch,
                         uint64_t seq_next, const SeqSet& forgotten,
                         TextIndex& index);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_ENTRIES_H_
