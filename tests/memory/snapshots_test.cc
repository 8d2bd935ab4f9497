#include "memory/snapshots.h"

#include <filesystem>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "memory/files.h"
#include "tests/client/temporary_dir.h"
#include "tests/memory/fixture.h"
#include "tests/testing/map_store.h"

namespace mneme::memory {
namespace {

namespace fs = std::filesystem;

// Cannot write checkpoints, and leaves what it began.
class FullStore final : public Store {
 public:
  absl::Status Write(const WriteBatch& batch, bool sync) override {
    return store_.Write(batch, sync);
  }
  absl::StatusOr<std::string> Read(const std::string& key) const override {
    return store_.Read(key);
  }
  absl::Status Scan(
      const std::string& begin, const std::string& end,
      const std::function<bool(std::string_view, std::string_view)>& visit)
      const override {
    return store_.Scan(begin, end, visit);
  }
  std::unique_ptr<const StoreView> Freeze() const override {
    return store_.Freeze();
  }
  absl::Status Checkpoint(const std::string& directory) override {
    fs::create_directory(directory + ".tmp");
    return base::Error(absl::StatusCode::kResourceExhausted, "the disk is full",
                       {.reason = "DISK_FULL"});
  }
  absl::Status Compact(const std::string&, const std::string&) override {
    return absl::OkStatus();
  }
  uint64_t Moment() const override { return 0; }
  bool HasViewBefore(uint64_t /*moment*/) const override { return false; }
  void Interrupt() override {}
  uint64_t ApproximateBytes() const override { return 0; }
  absl::Status Health() const override { return absl::OkStatus(); }

 private:
  testing::MapStore store_;
};

class SnapshotsTest : public ::testing::Test {
 protected:
  SnapshotsTest() {
    WriteBatch batch;
    batch.Put("key", "value");
    EXPECT_TRUE(store_.Write(batch, true).ok());
  }

  std::vector<std::string> Names() {
    std::vector<std::string> names;
    const auto snapshots = snapshots_.List();
    EXPECT_TRUE(snapshots.ok()) << snapshots.status();
    for (const Snapshot& snapshot : *snapshots) {
      names.push_back(snapshot.name);
    }
    return names;
  }

  // Everything below the directory of snapshots.
  size_t Count() {
    return std::distance(fs::directory_iterator(dir_.Path("snapshots")), {});
  }

  const testing::TemporaryDir dir_;
  testing::MapStore store_;
  Snapshots snapshots_{dir_.Path("snapshots")};
};

TEST_F(SnapshotsTest, ASnapshotIsMadeListedAndDeleted) {
  EXPECT_TRUE(Names().empty());
  const auto b = snapshots_.Create(store_, "b", 1234567);
  ASSERT_TRUE(b.ok()) << b.status();
  EXPECT_EQ(b->name, "b");
  EXPECT_EQ(b->directory, dir_.Path("snapshots/b"));
  EXPECT_EQ(b->create_time_us, 1234567);
  EXPECT_EQ(b->bytes, std::string("keyvalue").size());
  ASSERT_TRUE(snapshots_.Create(store_, "a", 1).ok());
  EXPECT_EQ(Names(), (std::vector<std::string>{"a", "b"}));
  const Snapshot listed = snapshots_.List()->at(1);
  EXPECT_EQ(listed.create_time_us, b->create_time_us);
  EXPECT_EQ(listed.bytes, b->bytes);
  ASSERT_TRUE(snapshots_.Delete("b").ok());
  EXPECT_EQ(Names(), (std::vector<std::string>{"a"}));
  EXPECT_EQ(Count(), 1u);
  EXPECT_EQ(ReasonOf(snapshots_.Delete("b")), "SNAPSHOT_NOT_FOUND");
}

TEST_F(SnapshotsTest, OnlyASnapshotIsDeleted) {
  const std::string damaged = snapshots_.Create(store_, "a", 1)->directory;
  ASSERT_TRUE(WriteFile(damaged + "/SNAPSHOT", "").ok());
  fs::create_directories(dir_.Path("snapshots/data"));
  ASSERT_TRUE(WriteFile(dir_.Path("snapshots/data/CURRENT"), "x").ok());
  ASSERT_TRUE(WriteFile(dir_.Path("snapshots/file"), "x").ok());
  EXPECT_EQ(ReasonOf(snapshots_.Delete("data")), "SNAPSHOT_NOT_FOUND");
  EXPECT_EQ(ReasonOf(snapshots_.Delete("file")), "SNAPSHOT_NOT_FOUND");
  EXPECT_TRUE(fs::exists(dir_.Path("snapshots/data/CURRENT")));
  EXPECT_TRUE(fs::exists(dir_.Path("snapshots/file")));
  EXPECT_TRUE(snapshots_.Delete("a").ok());
  EXPECT_FALSE(fs::exists(damaged));
}

TEST_F(SnapshotsTest, ANameIsNoPath) {
  for (const std::string name :
       {"", ".", "..", "a/b", "/a", ".hidden", "-a", "A", "a b", "a\n", "ä"}) {
    const auto made = snapshots_.Create(store_, name, 1);
    EXPECT_TRUE(absl::IsInvalidArgument(made.status())) << name;
    EXPECT_EQ(FieldOf(made.status()), "name");
    EXPECT_TRUE(absl::IsInvalidArgument(snapshots_.Delete(name))) << name;
  }
  EXPECT_FALSE(snapshots_.Create(store_, std::string(64, 'a'), 1).ok());
  EXPECT_TRUE(snapshots_.Create(store_, std::string(63, 'a'), 1).ok());
}

TEST_F(SnapshotsTest, ANameIsTakenOnce) {
  ASSERT_TRUE(snapshots_.Create(store_, "a", 1).ok());
  EXPECT_EQ(ReasonOf(snapshots_.Create(store_, "a", 2).status()),
            "SNAPSHOT_EXISTS");
  EXPECT_EQ(snapshots_.List()->at(0).create_time_us, 1);
}

TEST_F(SnapshotsTest, AFailureLeavesNothing) {
  FullStore full;
  EXPECT_EQ(ReasonOf(snapshots_.Create(full, "a", 1).status()), "DISK_FULL");
  EXPECT_EQ(Count(), 0u);
}

TEST_F(SnapshotsTest, WhatACrashLeftIsNoSnapshotAndGoesWithTheNext) {
  fs::create_directories(dir_.Path("snapshots/.making-a.tmp"));
  fs::create_directories(dir_.Path("snapshots/.making-b"));
  fs::create_directories(dir_.Path("snapshots/.deleting-c"));
  ASSERT_TRUE(WriteFile(dir_.Path("snapshots/.making-b/000001.sst"), "x").ok());
  EXPECT_TRUE(Names().empty());
  ASSERT_TRUE(snapshots_.Create(store_, "b", 1).ok());
  EXPECT_EQ(Count(), 1u);
}

TEST_F(SnapshotsTest, ASnapshotThatIsNotWholeIsRefused) {
  const std::string at = snapshots_.Create(store_, "a", 1)->directory;
  ASSERT_TRUE(ReadSnapshot(at).ok());
  const std::string manifest = ReadFile(at + "/SNAPSHOT").value();
  // Cut anywhere: never taken for whole.
  for (size_t size = 0; size < manifest.size() - 1; ++size) {
    ASSERT_TRUE(WriteFile(at + "/SNAPSHOT", manifest.substr(0, size)).ok());
    EXPECT_EQ(ReasonOf(ReadSnapshot(at).status()), "SNAPSHOT_DAMAGED") << size;
  }
  std::string newer = manifest;
  newer[newer.find(" 1\n") + 1] = '9';
  ASSERT_TRUE(WriteFile(at + "/SNAPSHOT", newer).ok());
  EXPECT_EQ(ReasonOf(ReadSnapshot(at).status()), "FORMAT_TOO_NEW");
  ASSERT_TRUE(WriteFile(at + "/SNAPSHOT", manifest).ok());
  ASSERT_TRUE(ReadSnapshot(at).ok());
  ASSERT_TRUE(WriteFile(at + "/RECORDS", "cut").ok());
  const absl::Status cut = ReadSnapshot(at).status();
  EXPECT_EQ(ReasonOf(cut), "SNAPSHOT_DAMAGED");
  EXPECT_NE(cut.message().find("RECORDS"), std::string::npos);
  fs::remove(at + "/RECORDS");
  EXPECT_EQ(ReasonOf(ReadSnapshot(at).status()), "SNAPSHOT_DAMAGED");
  fs::remove(at + "/SNAPSHOT");
  EXPECT_EQ(ReasonOf(ReadSnapshot(at).status()), "NOT_A_SNAPSHOT");
  EXPECT_TRUE(Names().empty());
}

TEST_F(SnapshotsTest, ADirectoryThatCannotBeMadeIsNamed) {
  dir_.Write("file", "not a directory");
  Snapshots below(dir_.Path("file/snapshots"));
  const absl::Status refused = below.Create(store_, "a", 1).status();
  EXPECT_EQ(ReasonOf(refused), "SNAPSHOTS_UNWRITABLE");
  EXPECT_NE(refused.message().find(dir_.Path("file")), std::string::npos);
}

}  // namespace
}  // namespace mneme::memory
