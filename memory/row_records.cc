#include "memory/row_records.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "memory/records.h"

namespace mneme::memory {
namespace {

std::string_view AsView(const std::byte* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// Where the rows of a record lie: per bank, all keys and then all values.
struct RowsPlace {
  SeqRange covered;
  size_t at = 0;
  size_t banks = 1;
};

RowsPlace PlaceOf(RecordKind kind, uint64_t number, const Profile& profile,
                  std::string_view payload) {
  if (kind == RecordKind::kRows) {
    const uint64_t first = number * kBlockTokens;
    return {.covered = {first, first + kBlockTokens}};
  }
  base::ByteReader in(payload);
  const auto count = in.Number<uint32_t>();
  return {.covered = {number, number + count},
          .at = sizeof(count) + count * sizeof(int64_t),
          .banks = profile.bank_count()};
}

}  // namespace

void PutPositions(uint64_t uid, std::span<const int64_t> positions,
                  uint64_t number, WriteBatch& batch) {
  PutRecord(
      RecordKind::kPositions, PositionsKey(uid, number),
      {reinterpret_cast<const char*>(positions.data()), positions.size_bytes()},
      batch);
}

void PutBlock(uint64_t uid, const Profile& profile, const RowBlock& block,
              uint64_t number, WriteBatch& batch) {
  PutPositions(uid, block.positions(), number, batch);
  std::string payload;
  for (size_t bank = 0; bank < profile.bank_count(); ++bank) {
    payload.assign(
        AsView(block.keys(bank), kBlockTokens * profile.key_bytes()));
    payload.append(
        AsView(block.values(bank), kBlockTokens * profile.value_bytes()));
    PutRecord(RecordKind::kRows,
              RowsKey(uid, number, static_cast<uint32_t>(bank)), payload,
              batch);
  }
}

void PutTail(uint64_t uid, const Profile& profile, const RowBlock& block,
             uint64_t seq_first, size_t count, WriteBatch& batch) {
  const size_t first = seq_first % kBlockTokens;
  base::ByteWriter out;
  out.Number(static_cast<uint32_t>(count));
  for (size_t i = 0; i < count; ++i) {
    out.Number(block.positions()[first + i]);
  }
  for (size_t bank = 0; bank < profile.bank_count(); ++bank) {
    out.Raw(AsView(block.keys(bank) + first * profile.key_bytes(),
                   count * profile.key_bytes()));
    out.Raw(AsView(block.values(bank) + first * profile.value_bytes(),
                   count * profile.value_bytes()));
  }
  PutRecord(RecordKind::kTail, TailKey(uid, seq_first), out.Take(), batch);
}

std::string_view KeysOfTail(const Profile& profile, std::string_view payload) {
  const RowsPlace place = PlaceOf(RecordKind::kTail, 0, profile, payload);
  if (place.at > payload.size()) return {};
  return payload.substr(place.at, place.covered.size() * profile.key_bytes());
}

void ClearForgotten(RecordKind kind, uint64_t number, const Profile& profile,
                    const SeqSet& remembered, std::string& payload) {
  const RowsPlace place = PlaceOf(kind, number, profile, payload);
  char* rows = payload.data() + place.at;
  for (size_t bank = 0; bank < place.banks; ++bank) {
    for (const size_t bytes : {profile.key_bytes(), profile.value_bytes()}) {
      remembered.ForEachGap(place.covered, [&](SeqRange gap) {
        std::fill_n(rows + (gap.begin - place.covered.begin) * bytes,
                    gap.size() * bytes, '\0');
      });
      rows += place.covered.size() * bytes;
    }
  }
}

}  // namespace mneme::memory
