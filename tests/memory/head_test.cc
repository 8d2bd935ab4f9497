#include "memory/head.h"

#include "gtest/gtest.h"
#include "memory/keys.h"
#include "memory/records.h"
#include "tests/testing/map_store.h"

namespace mneme::memory {
namespace {

TEST(Head, IsReadAsItWasPut) {
  testing::MapStore store;
  WriteBatch batch;
  PutHead(7,
          {.seq_next = 1,
           .position_next = 2,
           .committed_seq = 1,
           .entry_next = 4,
           .update_time_us = 5,
           .tokens = 6,
           .entries = 8,
           .entry_bytes = 9},
          batch);
  ASSERT_TRUE(store.Write(batch, true).ok());
  const Head head = ReadHead(store, 7, 99).value();
  EXPECT_EQ(head.seq_next, 1u);
  EXPECT_EQ(head.position_next, 2);
  EXPECT_EQ(head.committed_seq, 1u);
  EXPECT_EQ(head.entry_next, 4u);
  EXPECT_EQ(head.update_time_us, 5);
  EXPECT_EQ(head.tokens, 6u);
  EXPECT_EQ(head.entries, 8u);
  EXPECT_EQ(head.entry_bytes, 9u);
}

TEST(Head, OfASessionThatWasNeverAppendedToHasTheTimeOfItsCreation) {
  const testing::MapStore store;
  const Head head = ReadHead(store, 7, 99).value();
  EXPECT_EQ(head.seq_next, 0u);
  EXPECT_EQ(head.entry_next, 1u);
  EXPECT_EQ(head.update_time_us, 99);
}

TEST(Head, OfAnEarlierReleaseKnowsNoEntryBytes) {
  testing::MapStore store;
  WriteBatch batch;
  PutRecord(RecordKind::kHead, HeadKey(7), std::string(7 * 8, '\0'), batch);
  ASSERT_TRUE(store.Write(batch, true).ok());
  const auto head = ReadHead(store, 7, 99);
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_EQ(head->entry_bytes, 0u);
}

TEST(Head, ThatContradictsItselfIsDataLoss) {
  testing::MapStore store;
  WriteBatch batch;
  PutHead(7, {.seq_next = 1, .committed_seq = 2}, batch);
  ASSERT_TRUE(store.Write(batch, true).ok());
  EXPECT_TRUE(absl::IsDataLoss(ReadHead(store, 7, 0).status()));
  WriteBatch shorter;
  PutRecord(RecordKind::kHead, HeadKey(7), "abc", shorter);
  ASSERT_TRUE(store.Write(shorter, true).ok());
  EXPECT_TRUE(absl::IsDataLoss(ReadHead(store, 7, 0).status()));
}

}  // namespace
}  // namespace mneme::memory
