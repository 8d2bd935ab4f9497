#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "memory/memory.h"
#include "tests/memory/fixture.h"
#include "tests/testing/faulty_store.h"

namespace mneme::memory {
namespace {

using testing::Faults;
using testing::FaultyStore;
using testing::MapDisk;

// Steps of the scenario: each appends or forgets once.
constexpr uint64_t kSteps = 30;

struct Step {
  bool forget = false;
  uint64_t entry = 0;  // To forget.
  std::string words;   // To append.
  AppendOptions options;
};

Step StepOf(uint64_t number) {
  Step step;
  step.forget = number % 7 == 6;
  step.entry = number / 2;
  step.words = "fact" + std::to_string(number) + " stands here. Also there.";
  step.options.request_id = "request" + std::to_string(number);
  step.options.sync = number % 5 != 4;
  return step;
}

// A server that can die at any write.
class Machine {
 public:
  explicit Machine(std::shared_ptr<Faults> faults)
      : faults_(std::move(faults)) {}

  // Kills what runs and starts it again over what reached the disk.
  absl::Status Restart() {
    session_.reset();
    memory_.reset();
    auto opened =
        Memory::Open(std::make_unique<FaultyStore>(disk_, faults_), &clock_);
    if (!opened.ok()) return opened.status();
    memory_ = *std::move(opened);
    const SessionName name{.space = "test", .session = "s"};
    auto session = memory_->Find(name);
    if (absl::IsNotFound(session.status())) {
      session = memory_->Create(name, ProfileByName("text").value());
    }
    if (!session.ok()) return session.status();
    session_ = *std::move(session);
    return absl::OkStatus();
  }

  absl::Status Do(const Step& step) {
    if (step.forget) return session_->Forget(ByEntry(step.entry)).status();
    return session_->AppendText(Text(step.words), step.options).status();
  }

  Session& session() { return *session_; }

 private:
  FakeClock clock_;
  const std::shared_ptr<Faults> faults_;
  const std::shared_ptr<MapDisk> disk_ = std::make_shared<MapDisk>();
  std::unique_ptr<Memory> memory_;
  std::shared_ptr<Session> session_;
};

// The texts by entry, as the session tells them.
std::map<uint64_t, std::string> TextsOf(const Session& session) {
  RecallQuery query = Ask("stands here also there fact");
  query.limit = kRecallLimitMax;
  const RecallResult result = session.Recall(query, Never).value();
  std::map<uint64_t, std::string> texts;
  for (const RecalledPassage& passage : result.passages) {
    EXPECT_TRUE(texts.emplace(passage.entry, passage.text).second);
  }
  EXPECT_EQ(texts.size(), session.Info().entries);
  return texts;
}

// What the log should hold after the first `steps` steps.
std::map<uint64_t, std::string> ModelOf(uint64_t steps) {
  std::map<uint64_t, std::string> texts;
  uint64_t entry_next = 1;
  for (uint64_t number = 0; number < steps; ++number) {
    const Step step = StepOf(number);
    if (step.forget) {
      texts.erase(step.entry);
    } else {
      texts[entry_next++] = step.words;
    }
  }
  return texts;
}

TEST(RecoveryFault, TheScenarioWorksOnASoundDisk) {
  auto faults = std::make_shared<Faults>();
  Machine machine(faults);
  ASSERT_TRUE(machine.Restart().ok());
  for (uint64_t number = 0; number < kSteps; ++number) {
    const absl::Status done = machine.Do(StepOf(number));
    ASSERT_TRUE(done.ok()) << done;
  }
  EXPECT_EQ(TextsOf(machine.session()), ModelOf(kSteps));
  base::MutexLock lock(&faults->mutex);
  EXPECT_GE(faults->writes, kSteps);
}

// Whichever write fails, and whether or not it reached the disk: what was
// acknowledged is there, what was not is there whole or not at all, and trying
// again gives each exactly once.
TEST(RecoveryFault, AfterAnyFailedWriteTheLogIsWholeAndRetriesCountOnce) {
  for (const auto failed : {Faults::Failed::kLost, Faults::Failed::kOnDisk}) {
    for (uint64_t n = 0; n < kSteps + 2; ++n) {
      SCOPED_TRACE(n);
      auto faults = std::make_shared<Faults>();
      {
        base::MutexLock lock(&faults->mutex);
        faults->fail_at = n;
        faults->failed = failed;
      }
      Machine machine(faults);
      absl::Status started = machine.Restart();
      if (!started.ok()) started = machine.Restart();
      ASSERT_TRUE(started.ok()) << started;
      uint64_t number = 0;
      bool crashed = false;
      while (number < kSteps) {
        const Step step = StepOf(number);
        const absl::Status done = machine.Do(step);
        // A forgotten entry that reached the disk is not found a second time.
        if (done.ok() || (crashed && step.forget && absl::IsNotFound(done))) {
          ++number;
          continue;
        }
        ASSERT_FALSE(crashed) << done;
        ASSERT_EQ(ReasonOf(done), "STORE_FAILED");
        // Reads go on, and show nothing of it.
        ASSERT_EQ(TextsOf(machine.session()), ModelOf(number));
        ASSERT_EQ(ReasonOf(machine.Do(step)), "STORE_FAILED");
        crashed = true;
        const absl::Status again = machine.Restart();
        ASSERT_TRUE(again.ok()) << again;
        ExpectSound(machine.session());
        const auto there = TextsOf(machine.session());
        // Unsynced steps right before the failure may be gone with it.
        uint64_t kept = number + 1;
        while (kept > 0 && there != ModelOf(kept)) --kept;
        ASSERT_EQ(there, ModelOf(kept)) << "half of something is there";
        uint64_t promised = number;
        while (promised > 0 && !StepOf(promised - 1).forget &&
               !StepOf(promised - 1).options.sync) {
          --promised;
        }
        ASSERT_GE(kept, promised) << "an acknowledged step is gone";
        number = promised;  // The caller repeats what it cannot be sure of.
      }
      EXPECT_EQ(TextsOf(machine.session()), ModelOf(kSteps));
      ASSERT_TRUE(machine.Restart().ok());
      ExpectSound(machine.session());
    }
  }
}

TEST(RecoveryFault, ACrashTakesBufferedAppendsButOnlyFromTheEnd) {
  for (uint64_t crash_at = 1; crash_at <= kSteps; ++crash_at) {
    SCOPED_TRACE(crash_at);
    Machine machine(std::make_shared<Faults>());
    ASSERT_TRUE(machine.Restart().ok());
    uint64_t synced = 0;
    for (uint64_t number = 0; number < crash_at; ++number) {
      Step step = StepOf(number);
      step.options.sync = number % 4 == 0;
      ASSERT_TRUE(machine.Do(step).ok());
      if (step.options.sync || step.forget) synced = number + 1;
    }
    ASSERT_TRUE(machine.Restart().ok());
    EXPECT_EQ(TextsOf(machine.session()), ModelOf(synced));
    ExpectSound(machine.session());
  }
}

TEST(RecoveryFault, TokensOfAFailedAppendLeaveNoTrace) {
  testing::Random random(testing::Seed());
  const Profile profile = SmallProfile();
  const Tokens lost = RandomTokens(profile, 150, random);
  const Tokens kept = RandomTokens(profile, 150, random);
  const AttendQuery query = RandomQuery(profile, 2, random);
  House house;
  auto sound = house.Create("s", profile);
  ASSERT_TRUE(sound->AppendTokens(kept.Rows(), {}).ok());
  const AttendResult expected = sound->Attend(query, Never).value();

  FakeClock clock;
  auto disk = std::make_shared<MapDisk>();
  auto faults = std::make_shared<Faults>();
  auto memory =
      Memory::Open(std::make_unique<FaultyStore>(disk, faults), &clock).value();
  const SessionName name{.space = "test", .session = "s"};
  auto session = memory->Create(name, profile).value();
  {
    base::MutexLock lock(&faults->mutex);
    faults->fail_at = faults->writes;
  }
  EXPECT_FALSE(session->AppendTokens(lost.Rows(), {}).ok());
  EXPECT_EQ(session->Info().seq_next, 0u);
  session.reset();
  memory.reset();
  memory =
      Memory::Open(std::make_unique<FaultyStore>(disk, faults), &clock).value();
  session = memory->Find(name).value();
  ASSERT_TRUE(session->AppendTokens(kept.Rows(), {}).ok());
  ExpectSameAnswer(session->Attend(query, Never).value(), expected);
  ExpectSound(*session);
}

}  // namespace
}  // namespace mneme::memory
