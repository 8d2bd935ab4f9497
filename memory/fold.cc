#include "memory/fold.h"

#include "attention/dtype.h"
#include "base/bytes.h"
#include "memory/records.h"

namespace mneme::memory {
namespace {

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

}  // namespace

Fold::Fold(const Profile& profile)
    : banks(profile.bank_count(),
            attention::CompressiveState(static_cast<int>(profile.key_dim),
                                        static_cast<int>(profile.value_dim))) {}

void Fold::AbsorbUpTo(const Profile& profile, const RowBlocks& rows,
                      const SeqSet& forgotten, uint64_t end) {
  std::vector<float> keys(kBlockTokens * profile.key_dim);
  std::vector<float> values(kBlockTokens * profile.value_dim);
  // Pieces end at borders of segments and blocks, whoever calls and when, so
  // that float sums come out bit-equal after a replay.
  const uint64_t segment = profile.compressive->segment_tokens;
  while (absorbed_seq < end) {
    const SeqRange range{absorbed_seq, absorbed_seq + segment};
    ForEachSlice(rows, range, [&](const BlockSlice& slice) {
      const SeqRange piece{slice.seq_first, slice.seq_first + slice.count};
      forgotten.ForEachGap(piece, [&](SeqRange live) {
        const size_t first = live.begin % kBlockTokens;
        for (size_t bank = 0; bank < banks.size(); ++bank) {
          attention::ToFloat(
              profile.dtype,
              slice.block->keys(bank) + first * profile.key_bytes(),
              live.size() * profile.key_dim, keys.data());
          attention::ToFloat(
              profile.dtype,
              slice.block->values(bank) + first * profile.value_bytes(),
              live.size() * profile.value_dim, values.data());
          attention::Absorb(keys.data(), values.data(), live.size(),
                            banks[bank]);
        }
      });
      return true;
    });
    absorbed_seq = range.end;
  }
}

std::string EncodeFoldLayer(const Profile& profile, const Fold& fold,
                            uint32_t layer) {
  base::ByteWriter out;
  out.Number(fold.absorbed_seq);
  for (uint32_t head = 0; head < profile.kv_heads; ++head) {
    const attention::CompressiveState& state =
        fold.banks[size_t{layer} * profile.kv_heads + head];
    out.Number(state.token_count);
    out.Raw(Bytes(state.matrix));
    out.Raw(Bytes(state.normalizer));
  }
  return out.Take();
}

bool DecodeFoldLayer(const Profile& profile, std::string_view payload,
                     uint32_t layer, Fold& fold) {
  base::ByteReader in(payload);
  const auto absorbed_seq = in.Number<uint64_t>();
  // Every layer of a checkpoint was written at the same seq.
  if (layer > 0 && absorbed_seq != fold.absorbed_seq) return false;
  fold.absorbed_seq = absorbed_seq;
  for (uint32_t head = 0; head < profile.kv_heads; ++head) {
    attention::CompressiveState& state =
        fold.banks[size_t{layer} * profile.kv_heads + head];
    state.token_count = in.Number<uint64_t>();
    if (!ReadInto(in, state.matrix) || !ReadInto(in, state.normalizer)) {
      return false;
    }
  }
  return in.done() && absorbed_seq % profile.compressive->segment_tokens == 0;
}

void PutCheckpoint(uint64_t uid, const Profile& profile, const Fold& fold,
                   WriteBatch& batch) {
  for (uint32_t layer = 0; layer < profile.layers; ++layer) {
    PutRecord(RecordKind::kCheckpoint, CheckpointKey(uid, layer),
              EncodeFoldLayer(profile, fold, layer), batch);
  }
}

Fold LoadCheckpoint(const Store& store, uint64_t uid, const Profile& profile,
                    uint64_t seq_end) {
  Fold fold(profile);
  for (uint32_t layer = 0; layer < profile.layers; ++layer) {
    const std::string key = CheckpointKey(uid, layer);
    const absl::StatusOr<std::string> record = store.Read(key);
    if (!record.ok()) return Fold(profile);
    const auto payload = OpenRecord(RecordKind::kCheckpoint, key, *record);
    if (!payload.ok() || !DecodeFoldLayer(profile, *payload, layer, fold) ||
        fold.absorbed_seq > seq_end) {
      return Fold(profile);
    }
  }
  return fold;
}

}  // namespace mneme::memory
