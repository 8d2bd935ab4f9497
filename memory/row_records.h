// memory/row_records.h: rows of a log as records.

#ifndef MNEME_MEMORY_ROW_RECORDS_H_
#define MNEME_MEMORY_ROW_RECORDS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "memory/profile.h"
#include "memory/record.h"
#include "memory/rows.h"
#include "memory/seq_set.h"
#include "memory/store.h"

namespace mneme::memory {

// Of a full block of which nothing is remembered: it has no rows.
void PutPositions(uint64_t uid, std::span<const int64_t> positions,
                  uint64_t number, WriteBatch& batch);

// The records of one full block: its positions, and the rows of each bank.
void PutBlock(uint64_t uid, const Profile& profile, const RowBlock& block,
              uint64_t number, WriteBatch& batch);

// The record of the `count` tokens from `seq_first` on, in a block that is not
// full.
void PutTail(uint64_t uid, const Profile& profile, const RowBlock& block,
             uint64_t seq_first, size_t count, WriteBatch& batch);

// The keys of a tail's first bank.
std::string_view KeysOfTail(const Profile& profile, std::string_view payload);

// Overwrites the rows of tokens that are not in `remembered` in the payload of
// a record of rows or a tail. `number` is that of the record's key.
// REQUIRES: a payload that PutBlock or PutTail wrote.
void ClearForgotten(RecordKind kind, uint64_t number, const Profile& profile,
                    const SeqSet& remembered, std::string& payload);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_ROW_RECORDS_H_
