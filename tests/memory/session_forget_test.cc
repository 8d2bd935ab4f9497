#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "memory/keys.h"
#include "memory/record.h"
#include "memory/rows.h"
#include "memory/segments.h"
#include "memory/session.h"
#include "memory/text/encoder.h"
#include "tests/memory/fixture.h"
#include "tests/memory/small_presets.h"
#include "tests/reference/compressive.h"
#include "tests/testing/faulty_store.h"

namespace mneme::memory {
namespace {

using testing::Random;
using testing::RecordsIn;
using testing::Seed;

// Sentence `i` of its own words; one row each.
std::string Sentence(uint64_t i) {
  return "word" + std::to_string(i) + " is the secret of item" +
         std::to_string(i);
}

// A text session with small tiers, so that a few hundred sentences fill them.
Profile SmallText() {
  Profile profile = ProfileByName("text").value();
  profile.name = "small-text";
  profile.window->tokens = 30;
  profile.knn->top_k = 16;
  profile.compressive->segment_tokens = 20;
  return Complete(profile).value();
}

AttendQuery RandomTextQuery(const Profile& profile, Random& random) {
  AttendQuery query = RandomQuery(profile, 2, random);
  query.top_items = kTopItemsMax;
  return query;
}

// Whether the word of sentence `i` is found.
bool Recalls(const Session& session, uint64_t i) {
  const std::string word = "word" + std::to_string(i) + " ";
  const auto result = session.Recall(Ask(word), Never).value();
  for (const RecalledPassage& passage : result.passages) {
    if (passage.text.find(word) != std::string::npos) return true;
  }
  return false;
}

class Forget : public ::testing::Test {
 protected:
  Forget() : session_(house_.Create("s", SmallText())) {
    for (uint64_t i = 0; i < 300; ++i) {
      EXPECT_TRUE(
          Say(*session_, Sentence(i), i % 10 == 3 ? "gone.txt" : "kept.txt")
              .ok());
    }
  }

  // Neither rows nor words of entry `i` (seq i, number i + 1) are anywhere.
  void ExpectGone(uint64_t i) {
    EXPECT_FALSE(Recalls(*session_, i));
    Random random(Seed());
    AttendQuery query = RandomTextQuery(session_->header().profile, random);
    query.top_k = 0;
    const AttendResult result = session_->Attend(query, Never).value();
    for (const AttendedItem& item : result.outputs[0].items) {
      EXPECT_NE(item.seq, i);
    }
  }

  House house_;
  std::shared_ptr<Session> session_;
};

TEST_F(Forget, ByEntryHidesItEverywhereAndSurvivesReopening) {
  // In the kNN tier, in the tail block, and the newest.
  for (const uint64_t i : {5, 130, 280, 299}) {
    ASSERT_TRUE(Recalls(*session_, i));
    const auto forgotten = session_->Forget(ByEntry(i + 1));
    ASSERT_TRUE(forgotten.ok()) << forgotten.status();
    EXPECT_EQ(forgotten->entries, 1u);
    EXPECT_EQ(forgotten->tokens, 1u);
    ExpectGone(i);
    EXPECT_EQ(session_->Forget(ByEntry(i + 1)).status().code(),
              absl::StatusCode::kNotFound);
  }
  EXPECT_EQ(session_->Info().entries, 296u);
  EXPECT_EQ(session_->Info().tokens, 296u);
  EXPECT_EQ(session_->Info().seq_next, 300u);
  ExpectSound(*session_);
  session_ = house_.Reopened("s");
  for (const uint64_t i : {5, 130, 280, 299}) ExpectGone(i);
  EXPECT_EQ(session_->Info().entries, 296u);
  ExpectSound(*session_);
}

TEST_F(Forget, BySourceTakesAllOfItAndNothingElse) {
  const auto forgotten = session_->Forget(BySource("gone.txt"));
  ASSERT_TRUE(forgotten.ok()) << forgotten.status();
  EXPECT_EQ(forgotten->entries, 30u);
  for (uint64_t i = 3; i < 300; i += 10) ExpectGone(i);
  for (uint64_t i = 4; i < 300; i += 40) {
    EXPECT_TRUE(Recalls(*session_, i)) << i;
  }
  EXPECT_EQ(session_->Forget(BySource("gone.txt")).status().code(),
            absl::StatusCode::kNotFound);
  ExpectSound(*session_);
}

TEST_F(Forget, AnswersDoNotChangeWhenTheStateIsRebuilt) {
  Random random(Seed());
  ASSERT_TRUE(session_->Forget(BySource("gone.txt")).ok());
  ASSERT_TRUE(session_->Forget(ByEntry(101)).ok());
  const AttendQuery query = RandomTextQuery(session_->header().profile, random);
  const AttendResult attended = session_->Attend(query, Never).value();
  const RecallResult recalled =
      session_->Recall(Ask("the secret of item77"), Never).value();
  const CompressiveRead state = session_->CompressiveState(0).value();
  EXPECT_GT(state.absorbed_seq, 0u);
  const uint64_t uid = session_->branch().uid;
  for (const bool from_checkpoint : {true, false}) {
    if (!from_checkpoint) {
      house_.Reopen();  // Nobody has the session open while records vanish.
      base::MutexLock lock(&house_.disk().mutex);
      EXPECT_EQ(house_.disk().records.erase(CheckpointKey(uid, 0)), 1u);
    }
    session_ = house_.Reopened("s");
    SCOPED_TRACE(from_checkpoint);
    ExpectSameAnswer(session_->Attend(query, Never).value(), attended);
    ExpectSameAnswer(
        session_->Recall(Ask("the secret of item77"), Never).value(), recalled);
    const CompressiveRead rebuilt = session_->CompressiveState(0).value();
    EXPECT_EQ(rebuilt.matrix, state.matrix);
    EXPECT_EQ(rebuilt.normalizer, state.normalizer);
    EXPECT_EQ(rebuilt.absorbed_seq, state.absorbed_seq);
  }
}

// A sum of n terms is off by n + 2 units of it; thirty forgotten keys would be
// a tenth of it.
TEST_F(Forget, TheCompressiveStateNoLongerHoldsTheForgotten) {
  ASSERT_TRUE(session_->Forget(BySource("gone.txt")).ok());
  const CompressiveRead state = session_->CompressiveState(0).value();
  ASSERT_EQ(state.absorbed_seq, 260u);
  const HashEncoder encoder;
  const attention::DType dtype = session_->header().profile.dtype;
  std::vector<double> normalizer(state.normalizer.size());
  for (uint64_t i = 0; i < state.absorbed_seq; ++i) {
    if (i % 10 == 3) continue;
    std::vector<float> keys(normalizer.size());
    encoder.Encode(Sentence(i), keys);
    keys = Widen(dtype, Narrow(dtype, keys));
    for (size_t c = 0; c < keys.size(); ++c) {
      normalizer[c] += reference::Phi(keys[c]);
    }
  }
  for (size_t c = 0; c < normalizer.size(); ++c) {
    EXPECT_NEAR(state.normalizer[c], normalizer[c],
                (260 + 4) * 0x1p-24 * normalizer[c]);
  }
}

TEST_F(Forget, NothingOfItStaysInTheRecords) {
  const uint64_t uid = session_->branch().uid;
  ASSERT_TRUE(session_->Forget(ByEntry(6)).ok());    // In a full block.
  ASSERT_TRUE(session_->Forget(ByEntry(270)).ok());  // In the tail.
  ASSERT_TRUE(session_->Clean(Never).ok());
  for (const auto& [key, record] : RecordsIn(house_.disk(), AllOf(uid))) {
    EXPECT_EQ(record.find("word5 "), std::string::npos);
    EXPECT_EQ(record.find("word269 "), std::string::npos);
  }
  const Profile& profile = session_->header().profile;
  for (uint32_t bank = 0; bank < profile.bank_count(); ++bank) {
    const std::string key = RowsKey(uid, 0, bank);
    const std::string record =
        RecordsIn(house_.disk(), {key, key + '\0'}).at(0).second;
    const std::string_view rows =
        OpenRecord(RecordKind::kRows, key, record).value();
    const auto row = [&](size_t token) {
      return rows.substr(token * profile.key_bytes(), profile.key_bytes());
    };
    EXPECT_EQ(row(5), std::string(profile.key_bytes(), '\0'));
    EXPECT_NE(row(4), std::string(profile.key_bytes(), '\0'));
    EXPECT_NE(row(6), std::string(profile.key_bytes(), '\0'));
    const size_t values = kBlockTokens * profile.key_bytes();
    EXPECT_EQ(
        rows.substr(values + 5 * profile.value_bytes(), profile.value_bytes()),
        std::string(profile.value_bytes(), '\0'));
  }
}

TEST_F(Forget, AppendingGoesOnBehindIt) {
  ASSERT_TRUE(session_->Forget(ByEntry(300)).ok());
  const auto appended = Say(*session_, Sentence(300));
  ASSERT_TRUE(appended.ok()) << appended.status();
  EXPECT_EQ(appended->seq_first, 300u);
  EXPECT_EQ(appended->entry, 301u);  // Numbers are never used again.
  for (uint64_t i = 301; i < 400; ++i) {
    ASSERT_TRUE(Say(*session_, Sentence(i)).ok());
  }
  ExpectSound(*session_);
  session_ = house_.Reopened("s");
  ExpectSound(*session_);
  ExpectGone(299);
  EXPECT_TRUE(Recalls(*session_, 300));
  EXPECT_TRUE(Recalls(*session_, 399));
}

TEST_F(Forget, ItsRequestMayBeMadeAgain) {
  const TextEntry entry = Text("said once");
  const AppendOptions options = WithId("r");
  const auto first = session_->AppendText(entry, options);
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(session_->AppendText(entry, options)->replayed);
  ASSERT_TRUE(session_->Forget(ByEntry(*first->entry)).ok());
  const auto second = session_->AppendText(entry, options);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_FALSE(second->replayed);
  EXPECT_NE(second->entry, first->entry);
}

TEST_F(Forget, EverythingLeavesAWorkingSession) {
  ASSERT_TRUE(session_->Forget(BySource("gone.txt")).ok());
  ASSERT_TRUE(session_->Forget(BySource("kept.txt")).ok());
  for (int opening = 0; opening < 2; ++opening) {
    EXPECT_EQ(session_->Info().entries, 0u);
    EXPECT_EQ(session_->Info().tokens, 0u);
    EXPECT_TRUE(session_->Recall(Ask("secret"), Never)->passages.empty());
    ExpectSound(*session_);
    session_ = house_.Reopened("s");
  }
  ASSERT_TRUE(Say(*session_, "a new beginning").ok());
  EXPECT_EQ(session_->Recall(Ask("beginning"), Never)->passages.size(), 1u);
  ExpectSound(*session_);
}

TEST_F(Forget, WhatWasNeverSaidIsNotFound) {
  const auto by_entry = session_->Forget(ByEntry(4000));
  EXPECT_EQ(by_entry.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(by_entry.status()), "ENTRY_NOT_FOUND");
  EXPECT_EQ(session_->Forget(BySource("other.txt")).status().code(),
            absl::StatusCode::kNotFound);
  auto tokens = house_.Create("tokens", SmallProfile());
  EXPECT_EQ(tokens->Forget(ByEntry(1)).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(ForgetSealed, ASealedRunThatKnewItIsSealedAnew) {
  Random random(Seed());
  House house;
  auto session = house.Create("s", SmallText());
  // Entries of many rows each fill a run sooner.
  std::string many;
  for (int i = 0; i < 400; ++i) many += Sentence(i) + ".\n";
  for (int i = 0; i < 16; ++i) {
    ASSERT_TRUE(Say(*session, many, "s" + std::to_string(i)).ok());
  }
  ASSERT_GE(session->Info().seq_next, kSealTokens + 30);
  while (session->SealOne().value()) {
  }
  ASSERT_GE(session->Counts().segments, 1u);
  ASSERT_TRUE(session->Forget(BySource("s1")).ok());
  EXPECT_EQ(session->Counts().segments, 0u);
  const AttendQuery query = RandomTextQuery(session->header().profile, random);
  const AttendResult before = session->Attend(query, Never).value();
  EXPECT_TRUE(session->SealOne().value());
  EXPECT_EQ(session->Counts().segments, 1u);
  ExpectSameAnswer(session->Attend(query, Never).value(), before);
  ExpectSound(*session);
  ExpectSameAnswer(house.Reopened("s")->Attend(query, Never).value(), before);
}

// Ranks in the cache were once counted past forgotten tokens while verifying.
TEST(Verify, ForgottenTokensInTheCacheAreNoError) {
  testing::Random random(testing::Seed());
  for (const Profile& profile : SmallPresets()) {
    SCOPED_TRACE(profile.name);
    House house;
    auto session = house.Create("s", profile);
    for (int i = 0; i < 4; ++i) {
      const Tokens tokens = RandomTokens(profile, 50, random);
      ASSERT_TRUE(session->AppendTokens(tokens.Rows(), AppendOptions()).ok());
    }
    for (const SeqRange range : {SeqRange{1, 2}, SeqRange{150, 157},
                                 SeqRange{180, 190}, SeqRange{198, 199}}) {
      ASSERT_TRUE(session->Forget(range).ok());
      ASSERT_TRUE(session->Clean(Never).ok());
      ExpectSound(*session);
    }
  }
}

}  // namespace
}  // namespace mneme::memory
