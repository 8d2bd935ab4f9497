#include "memory/data_dir.h"

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "gtest/gtest.h"
#include "memory/files.h"
#include "memory/keys.h"
#include "memory/records.h"
#include "memory/rocks_store.h"
#include "memory/snapshots.h"
#include "tests/client/temporary_dir.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {
namespace {

namespace fs = std::filesystem;

const SessionName kText{.space = "test", .session = "text"};
const SessionName kRows{.space = "test", .session = "rows"};

// Every restored session is compared with one that is told as much.
constexpr int kEntriesMax = 2000;

std::string Fact(int number) {
  return "Fact " + std::to_string(number) + " is that house " +
         std::to_string(number * 7919) + " has a door of oak. It is open.";
}

class DataDirTest : public ::testing::Test {
 protected:
  std::unique_ptr<Memory> OpenMemory(const std::string& name) {
    auto store = OpenRocksStore(dir_.Path(name));
    EXPECT_TRUE(store.ok()) << store.status();
    return Memory::Open(*std::move(store), &clock_).value();
  }

  // A snapshot of a small directory.
  std::string SmallSnapshot() {
    const auto memory = OpenMemory("small");
    auto session = memory->Create(kText, ProfileByName("text").value()).value();
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(Say(*session, Fact(i)).ok());
    return snapshots_.Create(memory->store(), "small", 1).value().directory;
  }

  const testing::TemporaryDir dir_;
  FakeClock clock_;
  Snapshots snapshots_{dir_.Path("snapshots")};
};

// A restored session against one that was told as much of the same and no more.
void ExpectSameAs(Session& restored, uint64_t entries) {
  House house;
  auto told = house.CreateText();
  for (uint64_t i = 0; i < entries; ++i) {
    ASSERT_TRUE(Say(*told, Fact(static_cast<int>(i))).ok());
  }
  for (const char* query : {"house 7919", "a door of oak", "fact 3"}) {
    const RecallQuery asked{.query = query, .filter = {}};
    ExpectSameAnswer(restored.Recall(asked, Never).value(),
                     told->Recall(asked, Never).value());
  }
}

TEST_F(DataDirTest, ASnapshotUnderWritesHoldsAllThatWasAcknowledgedBefore) {
  testing::Random random(testing::Seed());
  const auto memory = OpenMemory("data");
  const auto text =
      memory->Create(kText, ProfileByName("text").value()).value();
  const Profile profile = SmallProfile();
  const auto rows = memory->Create(kRows, profile).value();
  const Tokens chunk = RandomTokens(profile, 5, random);
  std::atomic<uint64_t> entries = 0, appends = 0;
  std::atomic<bool> stop = false;
  AppendOptions buffered;
  buffered.sync = false;
  std::thread talks([&] {
    for (int i = 0; !stop && i < kEntriesMax; ++i) {
      EXPECT_TRUE(text->AppendText({.text = Fact(i)}, buffered).ok());
      ++entries;
    }
  });
  std::thread appends_rows([&] {
    for (int i = 0; !stop; ++i) {
      EXPECT_TRUE(rows->AppendTokens(chunk.Rows(),
                                     i % 8 == 0 ? AppendOptions() : buffered)
                      .ok());
      ++appends;
    }
  });
  for (int round = 0; round < 3; ++round) {
    const std::string name = "r" + std::to_string(round);
    const uint64_t entries_before = entries, appends_before = appends;
    const auto snapshot = snapshots_.Create(memory->store(), name, round);
    ASSERT_TRUE(snapshot.ok()) << snapshot.status();
    const absl::Status restored =
        Restore(snapshot->directory, dir_.Path("to-" + name));
    ASSERT_TRUE(restored.ok()) << restored;
    const auto copy = OpenMemory("to-" + name);
    const auto copied_text = copy->Find(kText).value();
    const auto copied_rows = copy->Find(kRows).value();
    EXPECT_GE(copied_text->Info().entries, entries_before);
    EXPECT_GE(copied_rows->Info().tokens, appends_before * chunk.count);
    // No append is torn.
    EXPECT_EQ(copied_rows->Info().tokens % chunk.count, 0u);
    ExpectSound(*copied_text);
    ExpectSound(*copied_rows);
    ExpectSameAs(*copied_text, copied_text->Info().entries);
  }
  stop = true;
  talks.join();
  appends_rows.join();
}

TEST_F(DataDirTest, ARestoredStoreIsWrittenAndTheSnapshotStaysAsItWas) {
  const std::string snapshot = SmallSnapshot();
  ASSERT_TRUE(Restore(snapshot, dir_.Path("to")).ok());
  {
    const auto memory = OpenMemory("to");
    const auto session = memory->Find(kText).value();
    ASSERT_TRUE(session->Forget(ByEntry(3)).ok());
    ASSERT_TRUE(Say(*session, "More.").ok());
    const KeyRange all = Everything();
    ASSERT_TRUE(memory->store().Compact(all.first, all.second).ok());
  }
  EXPECT_TRUE(ReadSnapshot(snapshot).ok());
  ASSERT_TRUE(Restore(snapshot, dir_.Path("again")).ok());
  EXPECT_EQ(OpenMemory("again")->Find(kText).value()->Info().entries, 20u);
}

TEST_F(DataDirTest, NothingIsRestoredOverAnything) {
  const std::string snapshot = SmallSnapshot();
  fs::create_directory(dir_.Path("full"));
  dir_.Write("full/letter", "dear");
  const absl::Status refused = Restore(snapshot, dir_.Path("full"));
  EXPECT_EQ(ReasonOf(refused), "DATA_DIR_NOT_EMPTY");
  EXPECT_NE(refused.message().find("letter"), std::string::npos);
  EXPECT_EQ(dir_.Read("full/letter"), "dear");
  fs::create_directory(dir_.Path("empty"));
  EXPECT_TRUE(Restore(snapshot, dir_.Path("empty")).ok());
  EXPECT_EQ(ReasonOf(Restore(snapshot, dir_.Path("empty"))),
            "DATA_DIR_NOT_EMPTY");
}

TEST_F(DataDirTest, ARestoreThatWasInterruptedIsRefusedAndRunAgain) {
  const std::string snapshot = SmallSnapshot();
  // As a crash leaves it: the marker, and some of the files.
  fs::create_directory(dir_.Path("to"));
  dir_.Write("to/RESTORING", "");
  dir_.Write("to/CURRENT", "half");
  const absl::Status refused =
      CheckDataDir(dir_.Path("to"), MissingDataDir::kCreate);
  EXPECT_EQ(ReasonOf(refused), "RESTORE_UNFINISHED");
  ASSERT_TRUE(Restore(snapshot, dir_.Path("to")).ok());
  EXPECT_TRUE(CheckDataDir(dir_.Path("to"), MissingDataDir::kRefuse).ok());
  EXPECT_EQ(OpenMemory("to")->Find(kText).value()->Info().entries, 20u);
}

TEST_F(DataDirTest, ARestoreThatCannotFinishSaysSo) {
  if (geteuid() != 0) GTEST_SKIP() << "only root becomes somebody else";
  const std::string snapshot = SmallSnapshot();
  // Where anybody may write, and only the owner remove, as in /tmp.
  const auto anybody = fs::perms::all | fs::perms::sticky_bit;
  fs::permissions(dir_.Path(""), fs::perms::all);
  fs::create_directory(dir_.Path("to"));
  fs::permissions(dir_.Path("to"), anybody);
  dir_.Write("to/RESTORING", "");
  fs::permissions(dir_.Path("to/RESTORING"), fs::perms::all);
  ASSERT_EQ(seteuid(54321), 0);
  const absl::Status refused = Restore(snapshot, dir_.Path("to"));
  ASSERT_EQ(seteuid(0), 0);
  if (!fs::exists(dir_.Path("to/CURRENT"))) {
    GTEST_SKIP() << "this kernel protects files in such a directory";
  }
  EXPECT_EQ(ReasonOf(refused), "DATA_DIR_UNWRITABLE");
  EXPECT_EQ(ReasonOf(CheckDataDir(dir_.Path("to"), MissingDataDir::kRefuse)),
            "RESTORE_UNFINISHED");
}

TEST_F(DataDirTest, ADamagedSnapshotIsNotRestored) {
  const std::string snapshot = SmallSnapshot();
  for (const auto& file : fs::directory_iterator(snapshot)) {
    if (file.path().extension() == ".sst") {
      fs::resize_file(file.path(), fs::file_size(file.path()) - 1);
    }
  }
  EXPECT_EQ(ReasonOf(Restore(snapshot, dir_.Path("to"))), "SNAPSHOT_DAMAGED");
  EXPECT_FALSE(fs::exists(dir_.Path("to")));
  EXPECT_EQ(ReasonOf(Restore(dir_.Path("small"), dir_.Path("to"))),
            "NOT_A_SNAPSHOT");
}

TEST_F(DataDirTest, ASnapshotOfALaterReleaseIsNotServed) {
  std::string snapshot;
  {
    const auto store = OpenRocksStore(dir_.Path("later")).value();
    base::ByteWriter version;
    version.Number(uint32_t{99});
    WriteBatch batch;
    PutRecord(RecordKind::kFormat, FormatKey(), version.Take(), batch);
    ASSERT_TRUE(store->Write(batch, true).ok());
    snapshot = snapshots_.Create(*store, "later", 1).value().directory;
  }
  EXPECT_EQ(ReasonOf(Restore(snapshot, dir_.Path("to"))), "FORMAT_TOO_NEW");
  EXPECT_EQ(ReasonOf(CheckDataDir(dir_.Path("to"), MissingDataDir::kCreate)),
            "RESTORE_UNFINISHED");
}

TEST_F(DataDirTest, OnlyADirectoryOfDataIsOpened) {
  EXPECT_EQ(ReasonOf(CheckDataDir(dir_.Path("no"), MissingDataDir::kRefuse)),
            "DATA_DIR_MISSING");
  EXPECT_TRUE(CheckDataDir(dir_.Path("no"), MissingDataDir::kCreate).ok());
  EXPECT_FALSE(fs::exists(dir_.Path("no")));
  const std::string snapshot = SmallSnapshot();
  EXPECT_EQ(ReasonOf(CheckDataDir(snapshot, MissingDataDir::kCreate)),
            "DATA_DIR_IS_SNAPSHOT");
}

}  // namespace
}  // namespace mneme::memory
