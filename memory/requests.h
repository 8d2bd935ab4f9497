// memory/requests.h: appends that were answered, by their request ids.
// The record is written in the append's own batch, so a retry after a crash
// finds either both or none.

#ifndef MNEME_MEMORY_REQUESTS_H_
#define MNEME_MEMORY_REQUESTS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "memory/store.h"
#include "memory/types.h"

namespace mneme::memory {

class Requests {
 public:
  // Lifetime: `store` outlives it.
  Requests(const Store* store, uint64_t uid) : store_(store), uid_(uid) {}

  // The first answer to `request_id`, marked as replayed; nothing for a new id
  // or none. Errors: INVALID_ARGUMENT for an id that is too long;
  // FAILED_PRECONDITION REQUEST_ID_REUSED; the store's.
  absl::StatusOr<std::optional<AppendResult>> Find(
      const std::string& request_id, uint64_t fingerprint) const;

  void Put(const std::string& request_id, uint64_t fingerprint, int64_t time_us,
           const AppendResult& result, WriteBatch& batch) const;

  // Deletes the records of these entries: what was forgotten may be appended
  // again.
  absl::Status DropEntries(const std::set<uint64_t>& entries,
                           WriteBatch& batch) const;
  // Deletes the records older than `time_us`, but for those of entries, which
  // live as long as the entry: a document is never remembered twice.
  absl::Status DropOlder(int64_t time_us, WriteBatch& batch) const;

 private:
  struct Remembered {
    uint64_t fingerprint = 0;
    int64_t time_us = 0;
    AppendResult result;
  };
  static std::string Encode(const Remembered& remembered);
  static bool Decode(std::string_view payload, Remembered& remembered);
  absl::Status DropIf(const std::function<bool(const Remembered&)>& chosen,
                      WriteBatch& batch) const;

  const Store* const store_;
  const uint64_t uid_;
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_REQUESTS_H_
