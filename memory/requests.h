// memory/requests.h: appends that were answered, by their request ids.
// The record is written in the append's own batch, so a retry after a crash
// finds either both or none.

#ifndef MNEME_MEMORY_REQUESTS_H_
#define MNEME_MEMORY_REQUESTS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "memory/branch.h"
#include "memory/seq_set.h"
#include "memory/store.h"
#include "memory/types.h"

namespace mneme::memory {

// The tokens that an append's record is about; nothing when it is malformed.
std::optional<SeqRange> AppendedBy(std::string_view payload);

class Requests {
 public:
  // Lifetime: `store` outlives it.
  Requests(const Store* store, Branch branch)
      : store_(store), branch_(std::move(branch)) {}

  // The first answer to `request_id`, marked as replayed; nothing for a new id
  // or none, or when all that was appended is forgotten: it may be appended
  // again. Errors: INVALID_ARGUMENT for an id that is too long;
  // FAILED_PRECONDITION REQUEST_ID_REUSED; the store's.
  absl::StatusOr<std::optional<AppendResult>> Find(
      const std::string& request_id, uint64_t fingerprint,
      const SeqSet& forgotten) const;

  void Put(const std::string& request_id, uint64_t fingerprint, int64_t time_us,
           const AppendResult& result, WriteBatch& batch) const;

  // Deletes its own records of appends of which everything is forgotten.
  absl::Status DropForgotten(const SeqSet& forgotten, WriteBatch& batch) const;
  // Deletes its own records older than `time_us`, but for those of entries,
  // which live as long as the entry: a document is never remembered twice.
  absl::Status DropOlder(int64_t time_us, WriteBatch& batch) const;

 private:
  struct Remembered {
    uint64_t fingerprint = 0;
    int64_t time_us = 0;
    AppendResult result;
  };
  static std::string Encode(const Remembered& remembered);
  // Whether all that was appended is forgotten.
  static bool Covers(const SeqSet& forgotten, const Remembered& remembered);
  static bool Decode(std::string_view payload, Remembered& remembered);
  absl::Status DropIf(const std::function<bool(const Remembered&)>& chosen,
                      WriteBatch& batch) const;

  absl::StatusOr<std::optional<Remembered>> Read(
      uint64_t uid, const std::string& request_id) const;

  const Store* store_;
  Branch branch_;
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_REQUESTS_H_
