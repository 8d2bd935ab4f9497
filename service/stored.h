// service/stored.h: what a namespace has in memory, for its limits.

#ifndef MNEME_SERVICE_STORED_H_
#define MNEME_SERVICE_STORED_H_

#include "memory/memory.h"
#include "service/limits.h"

namespace mneme::service {

// Counts by looking at every session of a namespace; opens none. Bytes are keys
// and values of the tokens, and what the entries say, that are not forgotten,
// the same whether a session is open or not; one that cannot be read counts as
// a session without tokens. Lifetime: `memory` outlives it.
Limits::Stored StoredIn(memory::Memory* memory);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_STORED_H_
