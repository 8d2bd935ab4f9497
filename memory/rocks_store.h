// memory/rocks_store.h: Store on RocksDB.

#ifndef MNEME_MEMORY_ROCKS_STORE_H_
#define MNEME_MEMORY_ROCKS_STORE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "memory/store.h"

namespace rocksdb {
class Env;
}

namespace mneme::memory {

// Opens or creates the store in `directory`. `env` is the machine it runs on,
// so that tests can cut its power; absent: this one. Errors:
// FAILED_PRECONDITION DATA_DIR_IN_USE when another process has it open;
// INVALID_ARGUMENT when it is not a directory; PERMISSION_DENIED; DATA_LOSS.
// Lifetime: `env` outlives the store.
absl::StatusOr<std::unique_ptr<Store>> OpenRocksStore(
    const std::string& directory, rocksdb::Env* env = nullptr);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_ROCKS_STORE_H_
