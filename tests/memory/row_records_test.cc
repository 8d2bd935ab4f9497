#include "memory/row_records.h"

#include <cstring>
#include <string>

#include "base/bytes.h"
#include "gtest/gtest.h"
#include "memory/keys.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {
namespace {

std::string PayloadOf(RecordKind kind, const std::string& key,
                      const WriteBatch& batch) {
  for (const auto& operation : batch.operations) {
    if (operation.key != key) continue;
    return std::string(OpenRecord(kind, key, operation.value).value());
  }
  ADD_FAILURE() << "no such record";
  return "";
}

// What doc/format.md says, byte by byte.
TEST(RowRecords, ABlockIsPositionsAndARecordABank) {
  const Profile profile = SmallProfile();
  RowBlock block(profile);
  for (size_t i = 0; i < kBlockTokens; ++i) block.positions()[i] = 3 * i;
  for (size_t bank = 0; bank < profile.bank_count(); ++bank) {
    std::memset(block.keys(bank), 'k' + static_cast<int>(bank),
                kBlockTokens * profile.key_bytes());
    std::memset(block.values(bank), 'v', kBlockTokens * profile.value_bytes());
  }
  WriteBatch batch;
  PutBlock(7, profile, block, 2, batch);
  EXPECT_EQ(batch.operations.size(), 1 + profile.bank_count());
  EXPECT_EQ(PayloadOf(RecordKind::kPositions, PositionsKey(7, 2), batch).size(),
            kBlockTokens * sizeof(int64_t));
  EXPECT_EQ(PayloadOf(RecordKind::kRows, RowsKey(7, 2, 3), batch),
            std::string(kBlockTokens * profile.key_bytes(), 'n') +
                std::string(kBlockTokens * profile.value_bytes(), 'v'));
}

TEST(RowRecords, ATailHasItsCountAndOnlyItsRows) {
  const Profile profile = SmallProfile();
  RowBlock block(profile);
  block.positions()[5] = 50;
  block.positions()[6] = 60;
  WriteBatch batch;
  PutTail(7, profile, block, 128 + 5, 2, batch);
  const std::string payload =
      PayloadOf(RecordKind::kTail, TailKey(7, 133), batch);
  base::ByteReader in(payload);
  EXPECT_EQ(in.Number<uint32_t>(), 2u);
  EXPECT_EQ(in.Number<int64_t>(), 50);
  EXPECT_EQ(in.Number<int64_t>(), 60);
  EXPECT_EQ(in.left(), 2 * profile.token_bytes());
}

}  // namespace
}  // namespace mneme::memory
