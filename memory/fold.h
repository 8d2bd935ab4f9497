// memory/fold.h: the compressive tier, a fold of the log.

#ifndef MNEME_MEMORY_FOLD_H_
#define MNEME_MEMORY_FOLD_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "attention/compressive.h"
#include "attention/performer.h"
#include "memory/profile.h"
#include "memory/rows.h"
#include "memory/seq_set.h"
#include "memory/store.h"

namespace mneme::memory {

// Segments between stored checkpoints: what opening has to replay at most, in
// tokens. A checkpoint costs features * (value_dim + 1) * 4 bytes a bank.
inline constexpr uint64_t kCheckpointTokens = 8192;

// The state of every bank after absorbing the log below `absorbed_seq`.
struct Fold {
  uint64_t absorbed_seq = 0;
  // Numbered as Profile says; one of the two, by the profile's features.
  std::vector<attention::CompressiveState> banks;
  std::vector<attention::PerformerState> performer_banks;
  // Null with elu + 1; copies share it.
  std::shared_ptr<const attention::PerformerFeatures> features;

  explicit Fold(const Profile& profile) : Fold(profile, FeaturesOf(profile)) {}
  // With the features of another fold of the profile: drawing them takes time.
  Fold(const Profile& profile,
       std::shared_ptr<const attention::PerformerFeatures> features);

  // Absorbs [absorbed_seq, end) without what was forgotten. The sums depend on
  // the log alone, not on how often or at what ends this was called.
  // REQUIRES: absorbed_seq and `end` are segment borders; the rows are filled.
  void AbsorbUpTo(const Profile& profile, const RowBlocks& rows,
                  const SeqSet& forgotten, uint64_t end);

  uint64_t token_count(size_t bank) const {
    return features ? performer_banks[bank].token_count
                    : banks[bank].token_count;
  }
  // What a query, neither rotated nor scaled, reads out of a bank; zeros from
  // an empty one. Shapes: query [key_dim]; out [value_dim].
  void Read(size_t bank, const float* query, float* out) const;

  // A function of `identity`, which no other session has, and of what was
  // absorbed, never 0: the same for every layer.
  uint64_t Version(std::string_view identity, const SeqSet& forgotten) const;

 private:
  // Null with elu + 1.
  static std::shared_ptr<const attention::PerformerFeatures> FeaturesOf(
      const Profile& profile);
  // Shapes: keys [kBlockTokens, key_dim] and values [.., value_dim] are
  // scratch.
  void AbsorbPiece(const Profile& profile, const BlockSlice& slice,
                   SeqRange live,
                   const std::vector<attention::CompressiveState>& before,
                   float* keys, float* values);
};

// One layer of a fold as a record's payload, and back into `fold`.
// Decode errors: false when it does not fit the profile.
std::string EncodeFoldLayer(const Profile& profile, const Fold& fold,
                            uint32_t layer);
bool DecodeFoldLayer(const Profile& profile, std::string_view payload,
                     uint32_t layer, Fold& fold);

// Stores every layer; the records of one checkpoint are written together.
void PutCheckpoint(uint64_t uid, const Profile& profile, const Fold& fold,
                   WriteBatch& batch);

// The stored checkpoint, or an empty fold when there is none that is sound and
// at or below `seq_end`: it is derived, and replayed from the log.
Fold LoadCheckpoint(const Store& store, uint64_t uid, const Profile& profile,
                    uint64_t seq_end);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_FOLD_H_
