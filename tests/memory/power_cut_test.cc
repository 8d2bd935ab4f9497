#include "tests/testing/power_cut.h"

#include <rocksdb/env.h>
#include <sys/mount.h>

#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "memory/rocks_store.h"
#include "tests/client/temporary_dir.h"
#include "tests/memory/scenario.h"
#include "tests/testing/random.h"

namespace mneme::memory {
namespace {

using testing::Disk;
using testing::Random;
using testing::Seed;

// What a disk keeps of bytes that were written and not synced.
enum class Keeps { kNothing, kEverything, kSome };

// The real store on a machine whose power can be cut.
class PoweredMachine {
 public:
  PoweredMachine(Random& random, Keeps keeps)
      : random_(random), keeps_(keeps) {}
  ~PoweredMachine() { machine_.Kill(); }

  void Start() {
    absl::Status started = machine_.Start();
    if (!started.ok()) {
      CutPower();  // A new disk.
      started = machine_.Start();
    }
    ASSERT_TRUE(started.ok()) << started;
  }
  // While the server runs, in the middle of whatever it does.
  void CutPower() {
    const std::string before = directory();
    ++cuts_;
    if (std::filesystem::exists(before)) {
      disk_->CutPower(before, directory(), [this](uint64_t unsynced) {
        return keeps_ == Keeps::kNothing      ? 0
               : keeps_ == Keeps::kEverything ? unsynced
                                              : random_.Int(0, unsynced);
      });
    }
    machine_.Kill();
    std::filesystem::remove_all(before);
  }

  Machine& machine() { return machine_; }
  Disk& disk() { return *disk_; }

 private:
  std::string directory() const {
    return scratch_.Path(absl::StrCat("data", cuts_));
  }

  Random& random_;
  const Keeps keeps_;
  const testing::TemporaryDir scratch_;
  int cuts_ = 0;
  const std::shared_ptr<Disk> disk_ = std::make_shared<Disk>();
  const std::unique_ptr<rocksdb::Env> env_ = testing::NewEnvOn(disk_);
  Machine machine_{[this] { return OpenRocksStore(directory(), env_.get()); }};
};

class PowerCut : public ::testing::TestWithParam<Keeps> {};

// The promise of SYNCED; buffered appends may go, from the end.
TEST_P(PowerCut, BeforeAnyStepLosesNothingThatWasSynced) {
  Random random(Seed());
  for (size_t cut_at = 0; cut_at < TheScenario().steps.size(); ++cut_at) {
    SCOPED_TRACE(cut_at);
    PoweredMachine powered(random, GetParam());
    powered.Start();
    Trial trial(TheScenario(), powered.machine(),
                {.restart =
                     [&] {
                       powered.CutPower();
                       powered.Start();
                     },
                 // Once at the step, and again at any later one.
                 .crash_before =
                     [&, cut = false](size_t step) mutable {
                       if (!cut) return cut = step == cut_at;
                       return random.Int(0, 19) == 0;
                     }});
    trial.Run();
    if (HasFailure()) return;
    EXPECT_GE(trial.crashes(), 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Rocks, PowerCut,
                         ::testing::Values(Keeps::kNothing, Keeps::kEverything,
                                           Keeps::kSome));

// More than one file of the write-ahead log, of which the disk may keep a newer
// one before an older one.
TEST(PowerCut, TakesBufferedWritesOnlyFromTheEnd) {
  constexpr int kWrites = 40;
  Random random(Seed());
  for (int round = 0; round < 6; ++round) {
    SCOPED_TRACE(round);
    const testing::TemporaryDir scratch;
    const auto disk = std::make_shared<Disk>();
    const auto env = testing::NewEnvOn(disk);
    auto store = OpenRocksStore(scratch.Path("before"), env.get()).value();
    for (int i = 0; i < kWrites; ++i) {
      WriteBatch batch;
      batch.Put(absl::StrCat(1000 + i), std::string(1 << 20, 'x'));
      ASSERT_TRUE(store->Write(batch, /*sync=*/false).ok());
    }
    disk->CutPower(scratch.Path("before"), scratch.Path("after"),
                   [&](uint64_t unsynced) { return random.Int(0, unsynced); });
    store.reset();
    const auto reopened = OpenRocksStore(scratch.Path("after"), env.get());
    ASSERT_TRUE(reopened.ok()) << reopened.status();
    int kept = 0;
    ASSERT_TRUE((*reopened)
                    ->Scan("", "9",
                           [&](std::string_view key, std::string_view) {
                             EXPECT_EQ(key, absl::StrCat(1000 + kept++));
                             return true;
                           })
                    .ok());
    std::cout << kept << " of " << kWrites << " kept\n";
  }
}

// The n-th call of a kind fails, for every n of the scenario and whoever makes
// it: a caller's write, or a flush or compaction in the background.
struct FailedCalls {
  uint64_t runs = 0;
  int crashes = 0;  // Of them, those that a caller met.
};

FailedCalls FailEach(uint64_t (Disk::*calls)() const,
                     const std::function<Disk::Fault(uint64_t)>& fault) {
  Random random(Seed());
  FailedCalls result;
  for (bool failed = true; failed; ++result.runs) {
    SCOPED_TRACE(result.runs);
    PoweredMachine powered(random, static_cast<Keeps>(result.runs % 3));
    powered.disk().FailFrom(result.runs, fault(result.runs));
    powered.Start();
    Trial trial(TheScenario(), powered.machine(), {.restart = [&] {
                  powered.CutPower();
                  powered.Start();
                }});
    trial.Run();
    if (::testing::Test::HasFailure()) break;
    result.crashes += trial.crashes();
    failed = (powered.disk().*calls)() > result.runs;
  }
  return result;
}

TEST(FailedDisk, AfterAnyFailedSyncNothingMoreIsWrittenAndNothingIsLost) {
  const FailedCalls failed =
      FailEach(&Disk::syncs, [](uint64_t) { return Disk::Fault::kSyncFails; });
  std::cout << failed.runs << " syncs failed, one a run; " << failed.crashes
            << " of them a caller's\n";
}

TEST(FailedDisk, AfterAnyFailedFileWriteNothingMoreIsWrittenAndNothingIsLost) {
  const FailedCalls failed = FailEach(&Disk::writes, [](uint64_t n) {
    return n % 2 == 0 ? Disk::Fault::kFull : Disk::Fault::kWriteFails;
  });
  std::cout << failed.runs << " file writes failed, one a run; "
            << failed.crashes << " of them a caller's\n";
}

// A real file system of its own size; unmounted when it goes.
class SmallFileSystem {
 public:
  SmallFileSystem() {
    mounted_ = mount("tmpfs", directory().c_str(), "tmpfs", 0, "size=1m") == 0;
  }
  ~SmallFileSystem() {
    if (mounted_) umount(directory().c_str());
  }
  SmallFileSystem(const SmallFileSystem&) = delete;
  SmallFileSystem& operator=(const SmallFileSystem&) = delete;

  bool mounted() const { return mounted_; }
  std::string directory() const { return scratch_.Path(""); }
  void Grow(int mebibytes) {
    const std::string size = absl::StrCat("size=", mebibytes, "m");
    ASSERT_EQ(
        mount("tmpfs", directory().c_str(), "tmpfs", MS_REMOUNT, size.c_str()),
        0);
  }

 private:
  const testing::TemporaryDir scratch_;
  bool mounted_ = false;
};

TEST(FailedDisk, AFullFileSystemLosesNothingAndGoesOnWhenItHasRoom) {
  SmallFileSystem small;
  if (!small.mounted()) GTEST_SKIP() << "a file system may not be mounted here";
  Machine machine([&] { return OpenRocksStore(small.directory() + "data"); });
  ASSERT_TRUE(machine.Start().ok());
  int mebibytes = 1;
  Trial trial(TheScenario(), machine,
              {.restart =
                   [&] {
                     machine.Kill();
                     small.Grow(++mebibytes);
                     // Too little room may be left to open it.
                     while (!machine.Start().ok() && mebibytes < 64) {
                       small.Grow(++mebibytes);
                     }
                   },
               .loses_unsynced = false});
  trial.Run();
  EXPECT_GE(trial.crashes(), 1);
  std::cout << trial.crashes() << " times full, up to " << mebibytes
            << " MiB\n";
  machine.Kill();
}

}  // namespace
}  // namespace mneme::memory
