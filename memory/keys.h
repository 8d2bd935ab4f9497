// memory/keys.h: where each record lies in the store.
// A session's records share the prefix 'd' + uid, then the record's kind, then
// numbers in big-endian, so that a scan visits them in the order of the log.

#ifndef MNEME_MEMORY_KEYS_H_
#define MNEME_MEMORY_KEYS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "memory/record.h"
#include "memory/seq_set.h"
#include "memory/session_name.h"

namespace mneme::memory {

using KeyRange = std::pair<std::string, std::string>;  // [begin, end).

std::string FormatKey();
std::string UidNextKey();
// The session whose header lies at `key`; nothing when it is no such key.
std::optional<SessionName> NameOfHeaderKey(std::string_view key);
std::string HeaderKey(const SessionName& name);
KeyRange AllHeaders();
// The marker of an import that is under way.
std::string ImportKey(uint64_t uid);
// Its uid; nothing when it is no such key.
std::optional<uint64_t> UidOfImportKey(std::string_view key);
KeyRange AllImports();

std::string OperationKey(std::string_view space, std::string_view id);
KeyRange AllOperations();
// Of the samples of what an operation deleted.
std::string DeletedKey(std::string_view space, std::string_view id);
KeyRange AllDeleted();

// Every record of the store.
KeyRange Everything();

// Every record of a session, and every one of one kind.
KeyRange AllOf(uint64_t uid);
KeyRange AllOf(uint64_t uid, RecordKind kind);

// The first number behind the kind, of a key that has one.
uint64_t NumberIn(std::string_view key);

// The seqs whose rows the record at `key` holds; nothing for one that has no
// rows.
std::optional<SeqRange> RowsAt(std::string_view key);

// Which of a session's records lies at `key`; nothing for any other key.
struct RecordPlace {
  uint64_t uid = 0;
  RecordKind kind = RecordKind::kHead;
  uint64_t number = 0;  // Of the block, entry or token; 0 for other kinds.
};
std::optional<RecordPlace> PlaceOfKey(std::string_view key);

std::string HeadKey(uint64_t uid);
std::string RowsKey(uint64_t uid, uint64_t block, uint32_t bank);
std::string PositionsKey(uint64_t uid, uint64_t block);
std::string TailKey(uint64_t uid, uint64_t seq_first);
std::string EntryKey(uint64_t uid, uint64_t entry);
std::string LexicalKey(uint64_t uid, uint64_t entry);
std::string RequestKey(uint64_t uid, std::string_view request_id);
std::string ForgottenKey(uint64_t uid, uint64_t seq_first);
std::string CheckpointKey(uint64_t uid, uint32_t layer);
std::string SegmentKey(uint64_t uid, uint64_t seq_first, uint32_t bank);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_KEYS_H_
