#include "memory/forget.h"

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "memory/background.h"
#include "memory/forgotten.h"
#include "memory/operations.h"
#include "memory/view.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {
namespace {

using testing::Random;
using testing::Seed;

SessionName Name(const std::string& session) {
  return {.space = "test", .session = session};
}

void ExpectDone(Memory& memory, const std::string& operation) {
  memory.CleanUp();  // Whether the background thread is at it or not.
  const auto found = memory.FindOperation(operation);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(found->done()) << found->error;
}

absl::Status SayAt(Session& session, std::string_view text, int64_t time_us,
                   const std::string& role, const std::string& topic) {
  TextEntry entry = Text(text);
  entry.time_us = time_us;
  entry.role = role;
  entry.metadata["topic"] = topic;
  return session.AppendText(entry, {}).status();
}

class ForgetTargets : public ::testing::Test {
 protected:
  void SetUp() override {
    session_ = house_.CreateText("s");
    ASSERT_TRUE(SayAt(*session_, "Alpha one.", 10, "user", "x").ok());
    ASSERT_TRUE(SayAt(*session_, "Beta two. Beta too.", 20, "bot", "x").ok());
    ASSERT_TRUE(SayAt(*session_, "Gamma three.", 30, "user", "y").ok());
  }
  // The entries that are left.
  std::vector<std::string> Left() {
    std::vector<std::string> left;
    for (const char* word : {"Alpha", "Beta", "Gamma"}) {
      if (Knows(*session_, word)) {
        left.emplace_back(word);
      }
    }
    return left;
  }

  House house_;
  std::shared_ptr<Session> session_;
};

using Words = std::vector<std::string>;

TEST_F(ForgetTargets, ByTimeIsHalfOpen) {
  const auto gone = session_->Forget(TimeRange{.begin_us = 10, .end_us = 20});
  ASSERT_TRUE(gone.ok()) << gone.status();
  EXPECT_EQ(gone->entries, 1u);
  EXPECT_EQ(Left(), (Words{"Beta", "Gamma"}));
  EXPECT_TRUE(absl::IsInvalidArgument(
      session_->Forget(TimeRange{.begin_us = 9, .end_us = 9}).status()));
  EXPECT_TRUE(absl::IsNotFound(
      session_->Forget(TimeRange{.begin_us = 10, .end_us = 20}).status()));
}

TEST_F(ForgetTargets, ByFilterEveryFieldMustMatch) {
  RecallFilter filter;
  EXPECT_TRUE(absl::IsInvalidArgument(session_->Forget(filter).status()));
  filter.metadata["topic"] = "x";
  filter.role = "user";
  EXPECT_EQ(session_->Forget(filter, /*dry_run=*/true)->entries, 1u);
  EXPECT_EQ(Left().size(), 3u);
  ASSERT_TRUE(session_->Forget(filter).ok());
  EXPECT_EQ(Left(), (Words{"Beta", "Gamma"}));
}

TEST_F(ForgetTargets, BySeqWholeEntriesGo) {
  EXPECT_TRUE(
      absl::IsInvalidArgument(session_->Forget(SeqRange{2, 2}).status()));
  const auto gone = session_->Forget(SeqRange{2, 3});
  ASSERT_TRUE(gone.ok()) << gone.status();
  EXPECT_EQ(gone->tokens, 2u);
  EXPECT_EQ(Left(), (Words{"Alpha", "Gamma"}));
  ASSERT_TRUE(session_->Forget(SeqRange{0, ~uint64_t{0}}).ok());
  EXPECT_TRUE(Left().empty());
  ExpectSound(*session_);
}

// What the text index answers after a forget is what it would had the entry
// never been there, to the bit.
TEST_F(ForgetTargets, ScoresAreThoseOfASessionThatNeverHeardIt) {
  House other;
  auto twin = other.CreateText("s");
  ASSERT_TRUE(SayAt(*twin, "Alpha one.", 10, "user", "x").ok());
  ASSERT_TRUE(SayAt(*twin, "Gamma three.", 30, "user", "y").ok());
  ASSERT_TRUE(session_->Forget(ByEntry(2)).ok());
  for (int opening = 0; opening < 2; ++opening) {
    const auto got = session_->Recall(Ask("alpha gamma"), Never)->passages;
    const auto expected = twin->Recall(Ask("alpha gamma"), Never)->passages;
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].text, expected[i].text);
      EXPECT_EQ(got[i].score, expected[i].score);
      EXPECT_EQ(got[i].share, expected[i].share);
    }
    session_ = house_.Reopened("s");
  }
}

// The state is too large to be made anew at once.
TEST(ForgetRebuild, TheStateIsMadeAnewInTheBackgroundExactly) {
  Random random(Seed());
  for (const UpdateRule rule : {UpdateRule::kLinear, UpdateRule::kDelta}) {
    Profile profile = SmallProfile();
    profile.key_dim = 64;
    profile.value_dim = 64;
    profile.compressive->update = rule;
    profile = Complete(profile).value();
    const Tokens tokens = RandomTokens(profile, 20'000, random);
    House house;
    auto session = house.Create("s", profile);
    ASSERT_TRUE(session->AppendTokens(tokens.Rows(), {}).ok());
    House other;
    auto twin = other.Create("t", profile);
    // The same tokens at the same seqs, but zeros where it shall forget.
    Tokens without = tokens;
    for (size_t bank = 0; bank < profile.bank_count(); ++bank) {
      const size_t row = bank * tokens.count + 100;
      without.keys.replace(row * profile.key_bytes(), 50 * profile.key_bytes(),
                           50 * profile.key_bytes(), '\0');
      without.values.replace(row * profile.value_bytes(),
                             50 * profile.value_bytes(),
                             50 * profile.value_bytes(), '\0');
    }
    ASSERT_TRUE(twin->AppendTokens(without.Rows(), {}).ok());
    ASSERT_TRUE(twin->Forget(SeqRange{100, 150}).ok());
    ASSERT_TRUE(twin->Clean(Never).ok());
    ASSERT_TRUE(session->Forget(SeqRange{100, 150}).ok());
    const auto early = session->CompressiveState(0);
    EXPECT_EQ(early.status().code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(ReasonOf(early.status()), "STATE_REBUILDING");
    const Tokens more = RandomTokens(profile, 64, random);
    ASSERT_TRUE(session->AppendTokens(more.Rows(), {}).ok());
    ASSERT_TRUE(twin->AppendTokens(more.Rows(), {}).ok());
    ASSERT_TRUE(session->Clean(Never).ok());
    for (int opening = 0; opening < 2; ++opening) {
      const auto got = session->CompressiveState(1).value();
      const auto expected = twin->CompressiveState(1).value();
      EXPECT_EQ(got.matrix, expected.matrix);
      EXPECT_EQ(got.normalizer, expected.normalizer);
      EXPECT_EQ(got.absorbed_seq, expected.absorbed_seq);
      session = house.Reopened("s");
    }
  }
}

TEST(Operations, SayWhenTheBytesAreGoneAndSurviveARestart) {
  Random random(Seed());
  House house;
  const Profile profile = SmallProfile();
  auto session = house.Create("s", profile);
  const Tokens tokens = RandomTokens(profile, 300, random);
  ASSERT_TRUE(session->AppendTokens(tokens.Rows(), {}).ok());
  const auto forgotten =
      house.memory().Forget(Name("s"), SeqRange{10, 20}, false);
  ASSERT_TRUE(forgotten.ok()) << forgotten.status();
  EXPECT_EQ(forgotten->result.tokens, 10u);
  session.reset();
  house.Reopen();  // Maybe before it was done.
  ExpectDone(house.memory(), forgotten->operation);
  const std::string row =
      tokens.keys.substr(15 * profile.key_bytes(), profile.key_bytes());
  {
    base::MutexLock lock(&house.disk().mutex);
    for (const auto& [key, record] : house.disk().records) {
      EXPECT_EQ(record.find(row), std::string::npos);
    }
  }
  house.clock().Advance(std::chrono::hours(25));
  const auto deleted = house.memory().DeleteNamespace("test");
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_EQ(deleted->sessions, 1u);
  ExpectDone(house.memory(), deleted->operation);
  EXPECT_TRUE(absl::IsNotFound(
      house.memory().FindOperation(forgotten->operation).status()));
  EXPECT_TRUE(absl::IsNotFound(house.Find("s").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      house.memory().FindOperation("operations/1").status()));
  EXPECT_EQ(house.memory().Count().pending_operations, 0u);
}

TEST(Operations, ADryRunStartsNone) {
  House house;
  auto session = house.CreateText("s");
  ASSERT_TRUE(Say(*session, "something").ok());
  const auto dry = house.memory().Forget(Name("s"), ByEntry(1), true);
  ASSERT_TRUE(dry.ok()) << dry.status();
  EXPECT_EQ(dry->operation, "");
  EXPECT_EQ(session->Info().entries, 1u);
}

TEST(Lifetime, ASessionWithATtlGoesAfterItsLastChange) {
  House house;
  auto session =
      house.memory().Create(Name("s"), SmallProfile(), 3'600'000'000);
  ASSERT_TRUE(session.ok()) << session.status();
  const Profile profile = SmallProfile();
  Random random(Seed());
  house.clock().Advance(std::chrono::minutes(50));
  const Tokens tokens = RandomTokens(profile, 3, random);
  ASSERT_TRUE((*session)->AppendTokens(tokens.Rows(), {}).ok());
  session->reset();
  house.clock().Advance(std::chrono::minutes(50));
  house.memory().DeleteExpired();
  EXPECT_TRUE(house.Find("s").ok());
  EXPECT_EQ(house.memory().Describe(Name("s"))->info.ttl_us, 3'600'000'000);
  house.clock().Advance(std::chrono::minutes(10));
  EXPECT_TRUE(absl::IsNotFound(house.Find("s").status()));
  EXPECT_TRUE(absl::IsNotFound(house.memory().Describe(Name("s")).status()));
  house.memory().DeleteExpired();
  EXPECT_EQ(house.memory().Count().sessions, 0u);
}

TEST(Lifetime, AnotherTtlCountsFromTheLastChange) {
  House house;
  house.Create("s", SmallProfile());
  EXPECT_TRUE(absl::IsNotFound(house.memory().SetTtl(Name("x"), 5)));
  ASSERT_TRUE(house.memory().SetTtl(Name("s"), 3'000'000).ok());
  house.Reopen();
  house.clock().Advance(std::chrono::seconds(2));
  ASSERT_TRUE(house.memory().SetTtl(Name("s"), 0).ok());
  house.clock().Advance(std::chrono::seconds(2));
  EXPECT_TRUE(house.Find("s").ok());
  ASSERT_TRUE(house.memory().SetTtl(Name("s"), 5'000'000).ok());
  house.clock().Advance(std::chrono::seconds(1));
  EXPECT_TRUE(absl::IsNotFound(house.Find("s").status()));
  // What nobody finds does not come back.
  EXPECT_TRUE(absl::IsNotFound(house.memory().SetTtl(Name("s"), 0)));
}

TEST(Lifetime, AnIdleSessionLeavesMemoryAndComesBackTheSame) {
  Random random(Seed());
  auto disk = std::make_shared<testing::MapDisk>();
  FakeClock clock;
  auto memory = Memory::Open(std::make_unique<testing::MapStore>(disk), &clock,
                             {.idle = std::chrono::seconds(0)})
                    .value();
  const Profile profile = SmallProfile();
  auto session = memory->Create(Name("s"), profile).value();
  const Tokens tokens = RandomTokens(profile, 300, random);
  ASSERT_TRUE(session->AppendTokens(tokens.Rows(), {}).ok());
  const AttendQuery query = RandomQuery(profile, 1, random);
  const AttendResult hot = session->Attend(query, Never).value();
  memory->CloseIdle();
  EXPECT_EQ(memory->Count().open_sessions, 1u);  // Somebody uses it.
  session.reset();
  memory->CloseIdle();
  EXPECT_EQ(memory->Count().open_sessions, 0u);
  EXPECT_EQ(memory->Describe(Name("s"))->info.tokens, 300u);
  EXPECT_EQ(memory->Count().open_sessions, 0u);
  ExpectSameAnswer(
      memory->Find(Name("s")).value()->Attend(query, Never).value(), hot);
  EXPECT_EQ(memory->Count().open_sessions, 1u);
}

TEST(Background, WorksWhenWokenAndAtIntervals) {
  std::atomic<int> calls{0};
  {
    Background background(
        [&] {
          ++calls;
          return calls.load() < 3;
        },
        std::chrono::milliseconds(1));
    background.Wake();
    while (calls < 5) std::this_thread::yield();
  }
  const int after = calls;
  EXPECT_GE(after, 5);
}

TEST(Forgotten, RunsComeBackWithTheirProbes) {
  testing::MapStore store;
  WriteBatch batch;
  PutForgotten(1, {.seqs = {5, 9}, .probes = {1, 2, 3}}, batch);
  PutForgotten(1, {.seqs = {20, 21}, .probes = {}}, batch);
  ASSERT_TRUE(store.Write(batch, true).ok());
  std::vector<ForgottenRun> runs;
  ASSERT_TRUE(ScanForgotten(store, 1, [&](const ForgottenRun& run) {
                runs.push_back(run);
              }).ok());
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].seqs, (SeqRange{5, 9}));
  EXPECT_EQ(runs[0].probes, (std::vector<Probe>{1, 2, 3}));
  SeqSet forgotten;
  ASSERT_TRUE(LoadForgotten(store, 1, forgotten).ok());
  EXPECT_EQ(forgotten.CountIn({0, 100}), 5u);
}

TEST(View, AStateThatIsBeingRebuiltSaysWhenToComeBack) {
  const absl::Status status = StateRebuilding();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(base::DetailOf(status).retry_after.has_value());
}

}  // namespace
}  // namespace mneme::memory
