#include "memory/record.h"

#include <string>

#include "base/error.h"
#include "gtest/gtest.h"

namespace mneme::memory {
namespace {

constexpr char kKey[] = "some key";

const std::string& Payload() {
  static const std::string payload("what was said\0and done", 22);
  return payload;
}

// The truth, or DATA_LOSS.
void ExpectRefused(const std::string& record) {
  const auto opened = OpenRecord(RecordKind::kEntry, kKey, record);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(base::DetailOf(opened.status()).reason, "RECORD_CORRUPT");
}

TEST(Record, OpensToWhatWasSealed) {
  for (const std::string& payload : {Payload(), std::string()}) {
    const std::string record = SealRecord(RecordKind::kEntry, kKey, payload);
    const auto opened = OpenRecord(RecordKind::kEntry, kKey, record);
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ(*opened, payload);
  }
}

TEST(Record, AnyFlippedBitIsDataLoss) {
  const std::string record = SealRecord(RecordKind::kEntry, kKey, Payload());
  for (size_t bit = 0; bit < record.size() * 8; ++bit) {
    std::string damaged = record;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    SCOPED_TRACE(bit);
    ExpectRefused(damaged);
  }
}

TEST(Record, CutAtAnyByteIsDataLoss) {
  const std::string record = SealRecord(RecordKind::kEntry, kKey, Payload());
  for (size_t size = 0; size < record.size(); ++size) {
    SCOPED_TRACE(size);
    ExpectRefused(record.substr(0, size));
  }
}

TEST(Record, ATrailingByteIsDataLoss) {
  ExpectRefused(SealRecord(RecordKind::kEntry, kKey, Payload()) + '\0');
}

TEST(Record, UnderAnotherKeyIsDataLoss) {
  ExpectRefused(SealRecord(RecordKind::kEntry, "other key", Payload()));
}

TEST(Record, OfAnotherKindIsDataLoss) {
  ExpectRefused(SealRecord(RecordKind::kTail, kKey, Payload()));
}

TEST(Record, OneThatDoesNotDecodeNamesItsKey) {
  const absl::Status status = MalformedRecord(RecordKind::kEntry, "k\x01");
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(base::DetailOf(status).metadata.at("record"), "k\\x01");
}

}  // namespace
}  // namespace mneme::memory
