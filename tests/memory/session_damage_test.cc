#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "memory/keys.h"
#include "memory/segments.h"
#include "memory/session.h"
#include "tests/memory/fixture.h"
#include "tests/testing/faulty_store.h"

namespace mneme::memory {
namespace {

using testing::Damage;
using testing::Random;
using testing::RecordsIn;
using testing::Seed;

void Append(Session& session, uint64_t count, Random& random) {
  const Tokens tokens = RandomTokens(session.header().profile, count, random);
  const auto appended = session.AppendTokens(tokens.Rows(), {});
  ASSERT_TRUE(appended.ok()) << appended.status();
}

TEST(SessionDamage, OfTheLogIsDataLossThatNamesTheSessionAndNoOtherSuffers) {
  Random random(Seed());
  House house;
  auto session = house.CreateText("hurt");
  for (int i = 0; i < 140; ++i) {
    ASSERT_TRUE(Say(*session, "sentence " + std::to_string(i)).ok());
  }
  ASSERT_TRUE(session->Forget(ByEntry(3)).ok());
  const uint64_t uid = session->branch().uid;
  ASSERT_TRUE(Say(*house.CreateText("well"), "all is well").ok());
  session.reset();
  const std::vector<std::string> keys = {
      HeadKey(uid),        RowsKey(uid, 0, 1), PositionsKey(uid, 0),
      TailKey(uid, 128),   EntryKey(uid, 7),   LexicalKey(uid, 7),
      ForgottenKey(uid, 2)};
  for (const std::string& key : keys) {
    house.Reopen();
    ASSERT_TRUE(Damage(house.disk(), key));
    const auto hurt = house.Find("hurt");
    ASSERT_FALSE(hurt.ok()) << key[9];
    EXPECT_EQ(hurt.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(ReasonOf(hurt.status()), "RECORD_CORRUPT");
    EXPECT_NE(hurt.status().message().find("namespaces/test/sessions/hurt"),
              std::string::npos)
        << hurt.status();
    const auto well = house.Find("well");
    ASSERT_TRUE(well.ok()) << well.status();
    EXPECT_FALSE((*well)->Recall(Ask("well"), Never)->passages.empty());
    EXPECT_TRUE(Say(**well, "still well").ok());
    ASSERT_TRUE(Damage(house.disk(), key));  // Flips it back.
  }
  const auto healed = house.Find("hurt");
  ASSERT_TRUE(healed.ok()) << healed.status();
  ExpectSound(**healed);
}

TEST(SessionDamage, AMissingRecordOfTheLogIsDataLoss) {
  Random random(Seed());
  House house;
  const Profile profile = SmallProfile();
  auto session = house.Create("s", profile);
  Append(*session, 300, random);
  Append(*session, 2, random);
  const uint64_t uid = session->branch().uid;
  session.reset();
  for (const std::string& key :
       {HeadKey(uid), RowsKey(uid, 0, 0), RowsKey(uid, 1, 3),
        PositionsKey(uid, 1), TailKey(uid, 256), TailKey(uid, 300)}) {
    house.Reopen();
    std::string record;
    {
      base::MutexLock lock(&house.disk().mutex);
      record = house.disk().records.at(key);
      house.disk().records.erase(key);
    }
    const auto lost = house.Find("s");
    EXPECT_EQ(lost.status().code(), absl::StatusCode::kDataLoss) << key[9];
    base::MutexLock lock(&house.disk().mutex);
    house.disk().records[key] = record;
  }
  EXPECT_TRUE(house.Find("s").ok());
}

TEST(SessionDamage, OfADerivedRecordIsMendedAndAnswersStayEqual) {
  Random random(Seed());
  House house;
  Profile profile = SmallProfile();
  profile.sink = SinkTier{.tokens = 0};
  auto session = house.Create("s", profile);
  Append(*session, 2 * kSealTokens + 60, random);
  while (session->SealOne().value()) {
  }
  ASSERT_EQ(session->Counts().segments, 2u);
  EXPECT_GT(session->Counts().checkpoint_seq, 0u);
  AttendQuery query = RandomQuery(profile, 2, random);
  query.top_items = 9;
  const AttendResult before = session->Attend(query, Never).value();
  const uint64_t uid = session->branch().uid;
  session.reset();
  for (const std::string& key :
       {SegmentKey(uid, 0, 0), SegmentKey(uid, 0, 2),
        SegmentKey(uid, kSealTokens, 3), CheckpointKey(uid, 0),
        CheckpointKey(uid, 1)}) {
    house.Reopen();
    ASSERT_TRUE(Damage(house.disk(), key));
    const auto mended = house.Find("s");
    ASSERT_TRUE(mended.ok()) << mended.status();
    ExpectSameAnswer((*mended)->Attend(query, Never).value(), before);
    while ((*mended)->SealOne().value()) {
    }
    EXPECT_EQ((*mended)->Counts().segments, 2u);
    ExpectSameAnswer((*mended)->Attend(query, Never).value(), before);
  }
}

TEST(SessionDamage, VerifyFindsADamagedRecordUnderAnOpenSession) {
  Random random(Seed());
  House house;
  auto session = house.Create("s", SmallProfile());
  Append(*session, 200, random);
  const uint64_t uid = session->branch().uid;
  for (const auto& [key, record] : RecordsIn(house.disk(), AllOf(uid))) {
    ASSERT_TRUE(Damage(house.disk(), key));
    const auto checks = session->Verify(Never);
    ASSERT_TRUE(checks.ok()) << checks.status();
    ASSERT_EQ((*checks)[0].name, "records");
    EXPECT_FALSE((*checks)[0].ok) << key[9];
    EXPECT_FALSE((*checks)[0].detail.empty());
    ASSERT_TRUE(Damage(house.disk(), key));
  }
  ExpectSound(*session);
}

// Sound records at keys that nobody wrote.
TEST(SessionDamage, AStrayRecordIsNeverACrash) {
  Random random(Seed());
  House house;
  auto session = house.Create("s", SmallProfile());
  Append(*session, 128, random);
  const uint64_t uid = session->branch().uid;
  session.reset();
  for (const char kind : {'h', 'b', 'p', 't', 'e', 'x', 'r', 'f', 'c', 'g'}) {
    for (const std::string& suffix :
         {std::string(), std::string(4, '\0'), std::string(8, '\0'),
          std::string("\0\0\0\0\0\0\0\x80", 8), std::string(12, '\0'),
          std::string(40, '\xFF')}) {
      for (const std::string& payload :
           {std::string(), std::string(4, '\0'), std::string(64, '\xFF')}) {
        house.Reopen();
        const std::string key =
            AllOf(uid, static_cast<RecordKind>(kind)).first + suffix;
        std::map<std::string, std::string> saved;
        {
          base::MutexLock lock(&house.disk().mutex);
          saved = house.disk().records;
          house.disk().records[key] =
              SealRecord(static_cast<RecordKind>(kind), key, payload);
        }
        const auto found = house.Find("s");
        if (!found.ok()) {
          EXPECT_EQ(found.status().code(), absl::StatusCode::kDataLoss)
              << kind << " " << found.status();
        }
        base::MutexLock lock(&house.disk().mutex);
        house.disk().records = saved;
      }
    }
  }
}

}  // namespace
}  // namespace mneme::memory
