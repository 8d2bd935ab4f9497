// memory/forgotten.h: what a session was told to forget, as records.

#ifndef MNEME_MEMORY_FORGOTTEN_H_
#define MNEME_MEMORY_FORGOTTEN_H_

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "memory/probe.h"
#include "memory/seq_set.h"
#include "memory/store.h"

namespace mneme::memory {

struct ForgottenRun {
  SeqRange seqs;
  // Samples of what was there, to prove that it has left the disk. None for
  // what a fork inherits: there the forgetting session has them.
  std::vector<Probe> probes;
};

// False for what does not decode.
bool DecodeForgotten(std::string_view payload, ForgottenRun& run);
void PutForgotten(uint64_t uid, const ForgottenRun& run, WriteBatch& batch);
// Of a session that is deleted by the operation, all of its log.
void PutDeleted(std::string_view space, std::string_view operation,
                const ForgottenRun& run, WriteBatch& batch);

// In the order of the log. Errors: DATA_LOSS for a record that is not sound;
// the store's.
absl::Status ScanForgotten(
    const StoreView& store, uint64_t uid,
    const std::function<void(const ForgottenRun&)>& visit);
absl::Status LoadForgotten(const StoreView& store, uint64_t uid,
                           SeqSet& forgotten);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_FORGOTTEN_H_
