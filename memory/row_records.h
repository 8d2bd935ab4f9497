// memory/row_records.h: rows of a log as records.

#ifndef MNEME_MEMORY_ROW_RECORDS_H_
#define MNEME_MEMORY_ROW_RECORDS_H_

#include <cstddef>
#include <cstdint>

#include "memory/profile.h"
#include "memory/rows.h"
#include "memory/store.h"

namespace mneme::memory {

// The records of one full block: its positions, and the rows of each bank.
void PutBlock(uint64_t uid, const Profile& profile, const RowBlock& block,
              uint64_t number, WriteBatch& batch);

// The record of the `count` tokens from `seq_first` on, in a block that is not
// full.
void PutTail(uint64_t uid, const Profile& profile, const RowBlock& block,
             uint64_t seq_first, size_t count, WriteBatch& batch);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_ROW_RECORDS_H_
