// memory/key_reader.h: stored keys as a tier sees them.

#ifndef MNEME_MEMORY_KEY_READER_H_
#define MNEME_MEMORY_KEY_READER_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "attention/alibi.h"
#include "attention/position.h"
#include "memory/profile.h"
#include "memory/rows.h"

namespace mneme::memory {

// Decodes keys and values to float32, and rotates keys by their positions where
// the tier's policy asks for it. Keeps its buffers and the last block's angles,
// so reading the banks of a block one after the other forms them once.
// Threads: one at a time.
class KeyReader {
 public:
  // Lifetime: borrows both.
  KeyReader(const Profile& profile, const attention::PositionEncoder& encoder);

  // [slice.count, key_dim], valid until the next call.
  const float* Keys(const BlockSlice& slice, size_t bank,
                    PositionPolicy policy);
  // [slice.count, value_dim], valid until the next call.
  const float* Values(const BlockSlice& slice, size_t bank);

 private:
  const Profile& profile_;
  const attention::PositionEncoder& encoder_;
  std::vector<float> keys_;
  std::vector<float> values_;
  std::vector<float> cos_;
  std::vector<float> sin_;
  const RowBlock* angles_block_ = nullptr;  // Whose angles are held,
  size_t angles_first_ = 0;                 // from this row
  size_t angles_count_ = 0;                 // on.
};

// The bias of a profile with ALiBi, nothing for the others.
std::optional<attention::AlibiBias> BiasFor(const Profile& profile);

// Multiplies [rows, key_dim] queries by logit_scale * m^2 and rotates them as
// the policy says; row r of every head stands at positions[r].
// Shapes: queries [heads, positions.size(), key_dim].
void PrepareQueries(const Profile& profile,
                    const attention::PositionEncoder& encoder,
                    PositionPolicy policy, int64_t distance,
                    std::span<const int64_t> positions,
                    std::vector<float>& queries);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_KEY_READER_H_
