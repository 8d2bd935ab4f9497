#include "memory/memory.h"

#include <string>
#include <vector>

#include "base/bytes.h"
#include "gtest/gtest.h"
#include "memory/keys.h"
#include "memory/record.h"
#include "tests/memory/fixture.h"
#include "tests/testing/faulty_store.h"

namespace mneme::memory {
namespace {

using testing::RecordsIn;

SessionName Name(const std::string& session,
                 const std::string& space = "test") {
  return {.space = space, .session = session};
}

TEST(Memory, ASessionIsCreatedOnceAndFoundAlsoAfterReopening) {
  House house;
  auto created = house.CreateText("a");
  EXPECT_EQ(house.Find("a").value(), created);
  const auto again =
      house.memory().Create(Name("a"), ProfileByName("text").value());
  EXPECT_EQ(again.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReasonOf(again.status()), "SESSION_EXISTS");
  const Profile profile = created->header().profile;
  created.reset();
  const auto found = house.Reopened("a");
  EXPECT_EQ(found->header().profile, profile);
  EXPECT_EQ(found->header().name, Name("a"));
}

TEST(Memory, CountsWhatOpenSessionsHold) {
  House house;
  testing::Random random(testing::Seed());
  const Profile profile = SmallProfile();
  for (const char* name : {"a", "b"}) {
    const Tokens tokens = RandomTokens(profile, 100, random);
    ASSERT_TRUE(
        house.Create(name, profile)->AppendTokens(tokens.Rows(), {}).ok());
  }
  const SessionCounts one = house.Find("a").value()->Counts();
  const SessionCounts both = house.memory().CountOpen();
  EXPECT_EQ(both.tokens, 200u);
  EXPECT_EQ(both.window_tokens, 2 * one.window_tokens);
  EXPECT_EQ(both.knn_tokens, 2 * one.knn_tokens);
  EXPECT_EQ(both.compressive_tokens, 2 * one.compressive_tokens);
  house.Reopen();
  EXPECT_EQ(house.memory().CountOpen().tokens, 0u) << "none is open";
}

TEST(Memory, WhatIsNotThereIsNotFound) {
  House house;
  const auto missing = house.Find("nobody");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(missing.status()), "SESSION_NOT_FOUND");
  EXPECT_EQ(house.memory().Delete(Name("nobody")).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(Memory, ABadProfileCreatesNothing) {
  House house;
  const auto refused = house.memory().Create(Name("a"), Profile());
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(house.Find("a").ok());
}

TEST(Memory, ListsANamespaceInOrderAndInPages) {
  House house;
  for (const char* name : {"b", "a", "d", "c"}) house.CreateText(name);
  ASSERT_TRUE(
      house.memory()
          .Create(Name("other", "elsewhere"), ProfileByName("text").value())
          .ok());
  for (int opening = 0; opening < 2; ++opening) {
    const auto first = house.memory().List("test", "", 3);
    ASSERT_EQ(first.size(), 3u);
    EXPECT_EQ(first[0], Name("a"));
    EXPECT_EQ(first[2], Name("c"));
    const auto rest = house.memory().List("test", "c", 3);
    ASSERT_EQ(rest.size(), 1u);
    EXPECT_EQ(rest[0], Name("d"));
    EXPECT_TRUE(house.memory().List("test", "d", 3).empty());
    EXPECT_TRUE(house.memory().List("nowhere", "", 3).empty());
    house.Reopen();
  }
}

TEST(Memory, ADeletedSessionLeavesNothingAndItsNameIsFree) {
  House house;
  auto session = house.CreateText("a");
  house.CreateText("b");
  const uint64_t uid = session->branch().uid;
  ASSERT_TRUE(Say(*session, "soon gone").ok());
  ASSERT_TRUE(house.memory().Delete(Name("a")).ok());
  EXPECT_TRUE(RecordsIn(house.disk(), AllOf(uid)).empty());
  EXPECT_FALSE(house.Find("a").ok());
  // Who still holds it may read.
  EXPECT_EQ(session->Recall(Ask("gone"), Never)->passages.size(), 1u);
  EXPECT_EQ(house.CreateText("a")->Info().entries, 0u);
  session.reset();
  EXPECT_EQ(house.Reopened("a")->Info().entries, 0u);
  EXPECT_TRUE(house.Find("b").ok());
}

TEST(Memory, ADeletedSessionAcknowledgesNothingMore) {
  House house;
  auto ghost = house.CreateText("a");
  const uint64_t uid = ghost->branch().uid;
  ASSERT_TRUE(Say(*ghost, "still here").ok());
  ASSERT_TRUE(house.memory().Delete(Name("a")).ok());
  const auto appended = Say(*ghost, "from beyond");
  EXPECT_EQ(appended.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(appended.status()), "SESSION_NOT_FOUND");
  EXPECT_EQ(ghost->Forget(ByEntry(1)).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_FALSE(ghost->SealOne().value());
  EXPECT_TRUE(RecordsIn(house.disk(), AllOf(uid)).empty());
}

// As after a crash of a release that wrote to deleted sessions.
TEST(Memory, ANewSessionDoesNotInheritRecordsOfItsUid) {
  House house;
  auto old = house.CreateText("a");
  ASSERT_TRUE(Say(*old, "from before").ok());
  const auto records = RecordsIn(house.disk(), AllOf(old->branch().uid));
  ASSERT_TRUE(house.memory().Delete(Name("a")).ok());
  old.reset();
  {
    base::MutexLock lock(&house.disk().mutex);
    house.disk().records.insert(records.begin(), records.end());
  }
  house.Reopen();
  EXPECT_EQ(house.CreateText("b")->Info().entries, 0u);
  EXPECT_EQ(house.Reopened("b")->Info().entries, 0u);
}

TEST(Memory, CountsWhatIsThereAndWhatIsOpen) {
  House house;
  house.CreateText("a");
  house.CreateText("b");
  house.Reopen();
  ASSERT_TRUE(house.Find("a").ok());
  const Memory::Counts counts = house.memory().Count();
  EXPECT_EQ(counts.sessions, 2u);
  EXPECT_EQ(counts.open_sessions, 1u);
  EXPECT_GT(counts.disk_bytes, 0u);
}

TEST(Memory, AFormatOfALaterReleaseIsRefused) {
  House house;
  base::ByteWriter payload;
  payload.Number(uint32_t{1000});
  {
    base::MutexLock lock(&house.disk().mutex);
    house.disk().records[FormatKey()] =
        SealRecord(RecordKind::kFormat, FormatKey(), payload.Take());
  }
  auto disk = std::make_shared<testing::MapDisk>();
  {
    base::MutexLock lock(&house.disk().mutex);
    base::MutexLock copy(&disk->mutex);
    disk->records = house.disk().records;
  }
  FakeClock clock;
  const auto opened =
      Memory::Open(std::make_unique<testing::MapStore>(disk), &clock);
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(opened.status()), "FORMAT_TOO_NEW");
}

}  // namespace
}  // namespace mneme::memory
