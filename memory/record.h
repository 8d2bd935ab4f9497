// memory/record.h: every record carries its kind, length and checksum.
// Layout (little-endian): magic 'M', version, kind, 0, payload length (32
// bits), XXH3-64 of key, kind, version and payload, then the payload. The key
// is part of the checksum, so that a sound record in the wrong place is found
// too.

#ifndef MNEME_MEMORY_RECORD_H_
#define MNEME_MEMORY_RECORD_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace mneme::memory {

// Also the letter in the record's key (memory/keys.h). doc/format.md describes
// the payloads.
enum class RecordKind : char {
  kFormat = 'F',      // Version of the whole directory.
  kUidNext = 'U',     // The uid of the next session.
  kOperation = 'O',   // A forget or deletion that is to be cleaned up.
  kDeleted = 'D',     // Samples of what a deletion erased.
  kHeader = 'S',      // A session: name, profile, branch.
  kHead = 'h',        // Where the session's log ends.
  kRows = 'b',        // Keys and values of one full block of one bank.
  kPositions = 'p',   // Positions of one full block.
  kTail = 't',        // Tokens of the block that is not full yet.
  kEntry = 'e',       // An entry's text and facts.
  kLexical = 'x',     // An entry's passages and their terms.
  kRequest = 'r',     // What an append with a request id returned.
  kForgotten = 'f',   // A forgotten range of seq.
  kCheckpoint = 'c',  // Compressive state of one layer.
  kSegment = 'g',     // Index of one sealed run of one bank.
  kImport = 'i',      // An import is under way: its uid has no session yet.
};

// `payload` as a record to be stored under `key`.
std::string SealRecord(RecordKind kind, std::string_view key,
                       std::string_view payload);

// The payload of `record`, read from `key`.
// Errors: DATA_LOSS RECORD_CORRUPT that says what is wrong;
// FAILED_PRECONDITION FORMAT_TOO_NEW for a version of a later release.
// Lifetime: points into `record`.
absl::StatusOr<std::string_view> OpenRecord(RecordKind kind,
                                            std::string_view key,
                                            std::string_view record);

// DATA_LOSS RECORD_MISSING for a record that others say is there.
absl::Status MissingRecord(RecordKind kind, std::string_view key);

// DATA_LOSS RECORD_CORRUPT for a payload that passed its checksum but does not
// decode.
absl::Status MalformedRecord(RecordKind kind, std::string_view key);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_RECORD_H_
