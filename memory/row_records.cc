#include "memory/row_records.h"

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "memory/records.h"

namespace mneme::memory {
namespace {

std::string_view AsView(const std::byte* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

void PutBlock(uint64_t uid, const Profile& profile, const RowBlock& block,
              uint64_t number, WriteBatch& batch) {
  PutRecord(RecordKind::kPositions, PositionsKey(uid, number),
            {reinterpret_cast<const char*>(block.positions().data()),
             block.positions().size_bytes()},
            batch);
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

}  // namespace mneme::memory
