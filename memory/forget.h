// memory/forget.h: what a wish to forget means in a session.

#ifndef MNEME_MEMORY_FORGET_H_
#define MNEME_MEMORY_FORGET_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "memory/forgotten.h"
#include "memory/header.h"
#include "memory/seq_set.h"
#include "memory/store.h"
#include "memory/text_index.h"
#include "memory/types.h"
#include "memory/view.h"

namespace mneme::memory {

struct Gone {
  SeqSet seqs;  // None of them forgotten before.
  std::vector<std::shared_ptr<const Entry>> entries;
  uint64_t tokens = 0;
};

// What `target` picks of what `view` remembers. Of a text session, whole
// entries. Errors: INVALID_ARGUMENT for an empty range or filter; NOT_FOUND
// when it picks nothing. `session` is named in errors.
absl::StatusOr<Gone> ChooseGone(const LogView& view, const ForgetTarget& target,
                                const std::string& session);

// The records to write of it, with probes of its text and rows.
std::vector<ForgottenRun> RunsOf(const LogView& view, const Gone& gone);

// The same of all of a session that is deleted, closed or open: probes of some
// entries and blocks, spread over its log, and those of what it had forgotten.
// What cannot be read has none.
ForgottenRun RunOfAll(const StoreView& store, const SessionRecord& session);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_FORGET_H_
