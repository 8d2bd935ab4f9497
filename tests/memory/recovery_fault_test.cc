#include <iostream>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "memory/memory.h"
#include "tests/memory/fixture.h"
#include "tests/memory/scenario.h"
#include "tests/testing/faulty_store.h"

namespace mneme::memory {
namespace {

using testing::Faults;
using testing::FaultyStore;
using testing::MapDisk;

// A machine on a disk that fails as told.
struct FaultyMachine {
  std::shared_ptr<Faults> faults = std::make_shared<Faults>();
  std::shared_ptr<MapDisk> disk = std::make_shared<MapDisk>();
  Machine machine{
      [this] { return std::make_unique<FaultyStore>(disk, faults); }};

  void Start() {
    absl::Status started = machine.Start();
    if (!started.ok()) started = machine.Start();  // Its own write failed.
    ASSERT_TRUE(started.ok()) << started;
  }
  void FailWrite(uint64_t n, Faults::Failed failed) {
    base::MutexLock lock(&faults->mutex);
    faults->fail_at = n;
    faults->failed = failed;
  }
  uint64_t writes() {
    base::MutexLock lock(&faults->mutex);
    return faults->writes;
  }
};

TEST(RecoveryFault, TheScenarioWorksOnASoundDisk) {
  FaultyMachine sound;
  sound.Start();
  Trial trial(TheScenario(), sound.machine, {.restart = [] {}});
  trial.Run();
  EXPECT_EQ(trial.crashes(), 0);
  EXPECT_GE(sound.writes(), TheScenario().steps.size() - 1);
}

class AFailedWrite : public ::testing::TestWithParam<Faults::Failed> {};

// Whichever write fails, and whether or not it reached the disk: what was
// acknowledged is there, what was not is there whole or not at all, and trying
// again gives each exactly once.
TEST_P(AFailedWrite, LeavesTheLogWholeAndRetriesCountOnce) {
  const uint64_t steps = TheScenario().steps.size();
  int crashes = 0;
  uint64_t n = 0;
  // Seals in the background write when they like: on, until nothing fails.
  for (bool failed = true; failed || n < steps; ++n) {
    SCOPED_TRACE(n);
    FaultyMachine faulty;
    faulty.FailWrite(n, GetParam());
    faulty.Start();
    Trial trial(TheScenario(), faulty.machine,
                {.restart = [&] { faulty.Start(); }});
    trial.Run();
    if (HasFailure()) return;
    crashes += trial.crashes();
    failed = faulty.writes() > n;
  }
  std::cout << n << " writes failed, one a run; " << crashes
            << " of them a caller's\n";
}

INSTANTIATE_TEST_SUITE_P(RecoveryFault, AFailedWrite,
                         ::testing::Values(Faults::Failed::kLost,
                                           Faults::Failed::kOnDisk,
                                           Faults::Failed::kDiskFull));

TEST(RecoveryFault, ACrashTakesBufferedAppendsButOnlyFromTheEnd) {
  for (size_t crash_at = 1; crash_at < TheScenario().steps.size(); ++crash_at) {
    SCOPED_TRACE(crash_at);
    FaultyMachine faulty;
    faulty.Start();
    bool crashed = false;
    Trial trial(TheScenario(), faulty.machine,
                {.restart = [&] { faulty.Start(); },
                 .crash_before =
                     [&](size_t step) {
                       return step == crash_at && !std::exchange(crashed, true);
                     }});
    trial.Run();
    if (HasFailure()) return;
    EXPECT_EQ(trial.crashes(), 1);
  }
}

// A read that fails is an error of the call that made it, which may be
// repeated; what was read up to there is never taken for all there is.
TEST(RecoveryFault, AFailedReadIsAnErrorAndNothingElse) {
  const Scenario& scenario = TheScenario();
  // There are some 500 of them: every third, which ones says the seed.
  constexpr uint64_t kStride = 3;
  uint64_t n = testing::Seed() % kStride;
  uint64_t runs = 0;
  uint64_t reported = 0;
  for (bool failed = true; failed; n += kStride, ++runs) {
    SCOPED_TRACE(n);
    FaultyMachine faulty;
    {
      base::MutexLock lock(&faulty.faults->mutex);
      faulty.faults->fail_read_at = n;
    }
    // Reopened every seven steps, so that there is something to read.
    for (size_t number = 0; number < scenario.steps.size(); ++number) {
      if (number % 7 == 0) faulty.Start();
      Step step = scenario.steps[number];
      step.sync = true;
      absl::Status done = faulty.machine.Do(step);
      if (!done.ok()) {
        ++reported;
        ASSERT_TRUE(absl::IsUnavailable(done)) << done;
        done = faulty.machine.Do(step);
      }
      ASSERT_TRUE(done.ok()) << done;
      // What is open must not be lost, what is opened again must be there.
      if (number % 7 != 6) continue;
      auto there = faulty.machine.Show();
      if (!there.ok()) there = faulty.machine.Show();
      ASSERT_TRUE(there.ok()) << there.status();
      ASSERT_TRUE(*there == scenario.after[number + 1]) << number;
    }
    faulty.Start();
    auto there = faulty.machine.Show();
    if (!there.ok()) there = faulty.machine.Show();
    ASSERT_TRUE(there.ok()) << there.status();
    ASSERT_TRUE(*there == scenario.after.back());
    base::MutexLock lock(&faulty.faults->mutex);
    failed = faulty.faults->reads > n;
  }
  std::cout << runs << " reads failed, one a run; " << reported
            << " of them a caller's\n";
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
