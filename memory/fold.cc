#include "memory/fold.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "attention/dtype.h"
#include "attention/projection.h"
#include "base/bytes.h"
#include "memory/records.h"

namespace mneme::memory {
namespace {

// Only a guard: an empty state is a flag, and phi is positive.
constexpr float kDenominatorFloor = 1e-10F;

std::string_view Bytes(const std::vector<float>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()),
          numbers.size() * sizeof(float)};
}

bool ReadInto(base::ByteReader& in, std::vector<float>& numbers) {
  const std::string_view raw = in.Raw(numbers.size() * sizeof(float));
  if (!in.ok()) return false;
  std::memcpy(numbers.data(), raw.data(), raw.size());
  return true;
}

// False when there is none, or one that is not sound.
bool ReadCheckpoint(const Store& store, uint64_t uid, const Profile& profile,
                    Fold& fold) {
  for (uint32_t layer = 0; layer < profile.layers; ++layer) {
    const std::string key = CheckpointKey(uid, layer);
    const absl::StatusOr<std::string> record = store.Read(key);
    if (!record.ok()) return false;
    const auto payload = OpenRecord(RecordKind::kCheckpoint, key, *record);
    if (!payload.ok() || !DecodeFoldLayer(profile, *payload, layer, fold)) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::shared_ptr<const attention::PerformerFeatures> Fold::FeaturesOf(
    const Profile& profile) {
  if (!profile.compressive->performer) return nullptr;
  const PerformerTier& tier = *profile.compressive->performer;
  const auto count = static_cast<int>(tier.count);
  const auto key_dim = static_cast<int>(profile.key_dim);
  const bool is_relu = tier.kernel == attention::PerformerKernel::kRelu;
  return std::make_shared<attention::PerformerFeatures>(
      attention::PerformerFeatures{
          .kernel = tier.kernel,
          .feature_count = count,
          .key_dim = key_dim,
          .projection = attention::OrthogonalProjection(
              count, key_dim, tier.seed, attention::RowNorms::kGaussian),
          .epsilon = is_relu ? 1e-3F : 1e-4F});
}

Fold::Fold(const Profile& profile,
           std::shared_ptr<const attention::PerformerFeatures> shared)
    : features(std::move(shared)) {
  const auto value_dim = static_cast<int>(profile.value_dim);
  if (features) {
    performer_banks.assign(
        profile.bank_count(),
        attention::PerformerState(features->feature_count, value_dim));
  } else {
    banks.assign(profile.bank_count(),
                 attention::CompressiveState(static_cast<int>(profile.key_dim),
                                             value_dim));
  }
}

void Fold::AbsorbUpTo(const Profile& profile, const RowBlocks& rows,
                      const SeqSet& forgotten, uint64_t end) {
  const bool is_delta = profile.compressive->update == UpdateRule::kDelta;
  std::vector<float> keys(kBlockTokens * profile.key_dim);
  std::vector<float> values(kBlockTokens * profile.value_dim);
  std::vector<attention::CompressiveState> before;
  // Pieces end at borders of segments and blocks, whoever calls and when, so
  // that float sums come out bit-equal after a replay.
  const uint64_t segment = profile.compressive->segment_tokens;
  while (absorbed_seq < end) {
    if (is_delta) before = banks;
    const SeqRange range{absorbed_seq, absorbed_seq + segment};
    ForEachSlice(rows, range, [&](const BlockSlice& slice) {
      const SeqRange piece{slice.seq_first, slice.seq_first + slice.count};
      forgotten.ForEachGap(piece, [&](SeqRange live) {
        AbsorbPiece(profile, slice, live, before, keys.data(), values.data());
      });
      return true;
    });
    forgotten_tokens += forgotten.CountIn(range);
    absorbed_seq = range.end;
  }
}

void Fold::AbsorbPiece(const Profile& profile, const BlockSlice& slice,
                       SeqRange live,
                       const std::vector<attention::CompressiveState>& before,
                       float* keys, float* values) {
  const size_t first = live.begin % kBlockTokens;
  for (size_t bank = 0; bank < profile.bank_count(); ++bank) {
    attention::ToFloat(profile.dtype,
                       slice.block->keys(bank) + first * profile.key_bytes(),
                       live.size() * profile.key_dim, keys);
    attention::ToFloat(
        profile.dtype,
        slice.block->values(bank) + first * profile.value_bytes(),
        live.size() * profile.value_dim, values);
    if (features) {
      attention::AbsorbFeatures(*features, keys, values, live.size(),
                                performer_banks[bank]);
    } else if (before.empty()) {
      attention::Absorb(keys, values, live.size(), banks[bank]);
    } else {
      attention::AbsorbDelta(keys, values, live.size(), before[bank],
                             banks[bank]);
    }
  }
}

void Fold::Read(size_t bank, const float* query, float* out) const {
  if (features) {
    attention::ReadFeatures(*features, performer_banks[bank], query,
                            /*denominator_epsilon=*/0, out);
  } else {
    attention::Read(banks[bank], query, kDenominatorFloor, out);
  }
}

uint64_t Fold::Version(uint64_t identity, const SeqSet& forgotten) const {
  base::ByteWriter absorbed;
  absorbed.Number(identity);
  absorbed.Number(absorbed_seq);
  forgotten.ForEachGap({0, absorbed_seq}, [&](SeqRange live) {
    absorbed.Number(live.begin);
    absorbed.Number(live.end);
  });
  const std::string bytes = absorbed.Take();
  return std::max<uint64_t>(XXH3_64bits(bytes.data(), bytes.size()), 1);
}

std::string EncodeFoldLayer(const Profile& profile, const Fold& fold,
                            uint32_t layer) {
  base::ByteWriter out;
  out.Number(fold.absorbed_seq);
  out.Number(fold.forgotten_tokens);
  for (uint32_t head = 0; head < profile.kv_heads; ++head) {
    const size_t bank = size_t{layer} * profile.kv_heads + head;
    out.Number(fold.token_count(bank));
    if (fold.features) {
      const attention::PerformerState& state = fold.performer_banks[bank];
      out.Number(state.stabilizer);
      out.Raw(Bytes(state.value_sum));
      out.Raw(Bytes(state.matrix));
      out.Raw(Bytes(state.normalizer));
    } else {
      out.Raw(Bytes(fold.banks[bank].matrix));
      out.Raw(Bytes(fold.banks[bank].normalizer));
    }
  }
  return out.Take();
}

bool DecodeFoldLayer(const Profile& profile, std::string_view payload,
                     uint32_t layer, Fold& fold) {
  base::ByteReader in(payload);
  const auto absorbed_seq = in.Number<uint64_t>();
  const auto forgotten_tokens = in.Number<uint64_t>();
  // Every layer of a checkpoint was written at the same seq.
  if (layer > 0 && (absorbed_seq != fold.absorbed_seq ||
                    forgotten_tokens != fold.forgotten_tokens)) {
    return false;
  }
  fold.absorbed_seq = absorbed_seq;
  fold.forgotten_tokens = forgotten_tokens;
  bool sound = true;
  for (uint32_t head = 0; sound && head < profile.kv_heads; ++head) {
    const size_t bank = size_t{layer} * profile.kv_heads + head;
    const auto token_count = in.Number<uint64_t>();
    if (fold.features) {
      attention::PerformerState& state = fold.performer_banks[bank];
      state.token_count = token_count;
      state.stabilizer = in.Number<float>();
      sound = ReadInto(in, state.value_sum) && ReadInto(in, state.matrix) &&
              ReadInto(in, state.normalizer);
    } else {
      attention::CompressiveState& state = fold.banks[bank];
      state.token_count = token_count;
      sound = ReadInto(in, state.matrix) && ReadInto(in, state.normalizer);
    }
  }
  return sound && in.done() &&
         absorbed_seq % profile.compressive->segment_tokens == 0;
}

void PutCheckpoint(uint64_t uid, const Profile& profile, const Fold& fold,
                   WriteBatch& batch) {
  for (uint32_t layer = 0; layer < profile.layers; ++layer) {
    PutRecord(RecordKind::kCheckpoint, CheckpointKey(uid, layer),
              EncodeFoldLayer(profile, fold, layer), batch);
  }
}

void DeleteCheckpoint(uint64_t uid, const Profile& profile, WriteBatch& batch) {
  for (uint32_t layer = 0; layer < profile.layers; ++layer) {
    batch.Delete(CheckpointKey(uid, layer));
  }
}

Fold LoadCheckpoint(const Store& store, const Branch& branch,
                    const Profile& profile, uint64_t seq_end,
                    const SeqSet& forgotten) {
  Fold fold(profile);
  const std::vector<Branch::Part> parts = branch.Parts(seq_end);
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    // A trunk may have gone on behind what this branch has of it.
    if (ReadCheckpoint(store, part->uid, profile, fold) &&
        fold.absorbed_seq <= std::min(seq_end, part->seqs.end) &&
        fold.forgotten_tokens == forgotten.CountIn({0, fold.absorbed_seq})) {
      return fold;
    }
    fold = Fold(profile, fold.features);
  }
  return fold;
}

uint64_t AbsorbSteps(const Profile& profile) {
  if (!profile.compressive) return 0;
  const uint64_t columns =
      profile.value_dim +
      (profile.compressive->performer ? profile.key_dim : 1);
  return profile.bank_count() * profile.feature_count() * columns;
}

}  // namespace mneme::memory
