// memory/key_reader.h: stored keys and values as a tier sees them.

#ifndef MNEME_MEMORY_KEY_READER_H_
#define MNEME_MEMORY_KEY_READER_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "attention/dtype.h"
#include "attention/position.h"
#include "memory/cache_ranks.h"
#include "memory/profile.h"
#include "memory/rows.h"

namespace mneme::memory {

// How keys are turned.
struct KeyForm {
  // Keys stand at their positions; otherwise at 0, unturned.
  bool rotated = false;
  const CacheRanks* ranks = nullptr;  // Rotated by rank instead. Borrowed.
  int64_t center = 0;                 // Of xPos's magnitudes.
  std::optional<attention::DType> rounded = {};
};

// Brings rows of keys or queries to length one, as the profile says.
void Normalize(const Profile& profile, float* rows, size_t count);

// What the rule of a tier makes of its keys; CLAMP has keys of both forms, and
// this is the near one.
KeyForm FormOf(const PositionRule& rule, std::optional<attention::DType> dtype);

// Decodes keys and values to float32, rounds, normalises and rotates them. A
// row's result depends on nothing but the row. Keeps its buffers and the last
// block's angles, so reading the banks of a block one after the other forms
// them once.
// Threads: one at a time.
class KeyReader {
 public:
  // Lifetime: borrows both, and the form's ranks.
  KeyReader(const Profile& profile, const attention::PositionEncoder& encoder,
            KeyForm form);

  // [slice.count, key_dim], valid until the next call for keys.
  const float* Keys(const BlockSlice& slice, size_t bank);
  // [slice.count, value_dim], valid until the next call for values.
  const float* Values(const BlockSlice& slice, size_t bank);
  // The same for scattered tokens: [seqs, key_dim] and [seqs, value_dim].
  const float* Keys(const RowBlocks& rows, std::span<const uint64_t> seqs,
                    size_t bank);
  const float* Values(const RowBlocks& rows, std::span<const uint64_t> seqs,
                      size_t bank);

 private:
  bool turns() const { return form_.rotated && encoder_.rotary_dim() > 0; }
  void Round(float* numbers, size_t count);
  // Normalises and rotates keys_ of tokens whose angles are held.
  void Shape(size_t count);
  void FormAngles(std::span<const int64_t> positions);

  const Profile& profile_;
  const attention::PositionEncoder& encoder_;
  const KeyForm form_;
  std::vector<float> keys_;
  std::vector<float> values_;
  std::vector<std::byte> rounded_;
  std::vector<float> cos_;
  std::vector<float> sin_;
  std::vector<float> magnitudes_;  // Of xPos only.
  std::vector<int64_t> angles_at_;
  const RowBlock* angles_block_ = nullptr;  // Whose angles are held,
  size_t angles_first_ = 0;                 // from this row
  size_t angles_count_ = 0;                 // on.
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_KEY_READER_H_
