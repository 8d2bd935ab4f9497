// tests/memory/rows_fixture.h: a log in memory, without a session around it.

#ifndef MNEME_TESTS_MEMORY_ROWS_FIXTURE_H_
#define MNEME_TESTS_MEMORY_ROWS_FIXTURE_H_

#include <cstring>
#include <memory>

#include "attention/dtype.h"
#include "memory/rows.h"
#include "memory/view.h"
#include "tests/testing/random.h"

namespace mneme::memory {

// Normal rows; positions ascend by `position_step`.
inline std::shared_ptr<RowBlocks> RandomRows(const Profile& profile,
                                             uint64_t count,
                                             int64_t position_step,
                                             testing::Random& random) {
  auto rows = std::make_shared<RowBlocks>();
  for (uint64_t first = 0; first < count; first += kBlockTokens) {
    auto block = std::make_shared<RowBlock>(profile);
    for (size_t bank = 0; bank < profile.bank_count(); ++bank) {
      const auto keys = random.Normals(kBlockTokens * profile.key_dim);
      attention::FromFloat(profile.dtype, keys.data(), keys.size(),
                           block->keys(bank));
      const auto values = random.Normals(kBlockTokens * profile.value_dim);
      attention::FromFloat(profile.dtype, values.data(), values.size(),
                           block->values(bank));
    }
    for (size_t i = 0; i < kBlockTokens; ++i) {
      block->positions()[i] = static_cast<int64_t>(first + i) * position_step;
    }
    rows->push_back(std::move(block));
  }
  return rows;
}

// A view of the first `count` of `rows`, with nothing forgotten or sealed.
inline LogView ViewOf(const Profile& profile, std::shared_ptr<RowBlocks> rows,
                      uint64_t count) {
  LogView view;
  view.profile = &profile;
  view.position_next = count == 0
                           ? 0
                           : (*rows)[(count - 1) / kBlockTokens]
                                     ->positions()[(count - 1) % kBlockTokens] +
                                 1;
  view.rows = std::move(rows);
  view.seq_next = count;
  view.forgotten = std::make_shared<SeqSet>();
  view.segments = std::make_shared<SegmentList>();
  return view;
}

}  // namespace mneme::memory

#endif  // MNEME_TESTS_MEMORY_ROWS_FIXTURE_H_
