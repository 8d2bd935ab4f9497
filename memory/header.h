// memory/header.h: what is stored about a session apart from its log.

#ifndef MNEME_MEMORY_HEADER_H_
#define MNEME_MEMORY_HEADER_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "memory/branch.h"
#include "memory/profile.h"
#include "memory/session_name.h"
#include "memory/store.h"

namespace mneme::memory {

// What never changes.
struct SessionHeader {
  SessionName name = {};
  Profile profile = {};
  int64_t create_time_us = 0;

  // A number of its own for what clients compare: nothing in it tells how many
  // other sessions there are.
  uint64_t Identity() const;
};

struct SessionRecord {
  SessionHeader header = {};
  int64_t ttl_us = 0;  // It is deleted so long after its last change; 0: never.
  Branch branch = {};  // Its uids are never used again.
};

void PutSession(const SessionRecord& session, WriteBatch& batch);

// Errors: DATA_LOSS.
absl::StatusOr<SessionRecord> DecodeSession(std::string_view key,
                                            std::string_view record);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_HEADER_H_
