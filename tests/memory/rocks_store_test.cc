#include "memory/rocks_store.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {
namespace {

class RocksStoreTest : public ::testing::Test {
 protected:
  RocksStoreTest() {
    std::string path = ::testing::TempDir() + "/rocks_store_test.XXXXXX";
    EXPECT_NE(mkdtemp(path.data()), nullptr);
    root_ = path;
  }
  ~RocksStoreTest() override { std::filesystem::remove_all(root_); }

  std::unique_ptr<Store> Open() { return OpenRocksStore(directory()).value(); }
  std::string directory() const { return root_ / "data"; }

  std::filesystem::path root_;
};

using Records = std::vector<std::pair<std::string, std::string>>;

Records ScanAll(const Store& store, const std::string& begin,
                const std::string& end) {
  Records records;
  EXPECT_TRUE(store
                  .Scan(begin, end,
                        [&](std::string_view key, std::string_view value) {
                          records.emplace_back(key, value);
                          return true;
                        })
                  .ok());
  return records;
}

absl::Status Put(Store& store, const std::string& key, const std::string& value,
                 bool sync = false) {
  WriteBatch batch;
  batch.Put(key, value);
  return store.Write(batch, sync);
}

TEST_F(RocksStoreTest, OneProcessAtATime) {
  auto store = Open();
  const auto second = OpenRocksStore(directory());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(second.status()), "DATA_DIR_IN_USE");
  store.reset();
  EXPECT_TRUE(OpenRocksStore(directory()).ok());
}

TEST_F(RocksStoreTest, AFileIsNotADirectory) {
  std::ofstream(directory()) << "not a directory";
  const auto opened = OpenRocksStore(directory());
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(opened.status().message().find(directory()), std::string::npos);
  EXPECT_EQ(OpenRocksStore(directory() + "/below").status().code(),
            absl::StatusCode::kPermissionDenied);
}

TEST_F(RocksStoreTest, ABatchIsAppliedInItsOrder) {
  auto store = Open();
  WriteBatch batch;
  batch.Put("a", "1");
  batch.Put("b", "1");
  batch.Put("c", "1");
  batch.DeleteRange("a", "c");
  batch.Put("b", "2");
  batch.Delete("c");
  batch.Put("d", "1");
  batch.Put("d", "2");
  ASSERT_TRUE(store->Write(batch, true).ok());
  EXPECT_EQ(ScanAll(*store, "", "z"), (Records{{"b", "2"}, {"d", "2"}}));
  EXPECT_EQ(store->Read("b").value(), "2");
  EXPECT_EQ(store->Read("a").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(RocksStoreTest, ScansAreOrderedBoundedAndStopWhenTold) {
  auto store = Open();
  for (const char* key : {"b", "a", "c", "a\xFF", "aa"}) {
    ASSERT_TRUE(Put(*store, key, key).ok());
  }
  EXPECT_EQ(ScanAll(*store, "aa", "c"),
            (Records{{"aa", "aa"}, {"a\xFF", "a\xFF"}, {"b", "b"}}));
  EXPECT_TRUE(ScanAll(*store, "b", "b").empty());
  int visited = 0;
  ASSERT_TRUE(store
                  ->Scan("", "z",
                         [&](std::string_view, std::string_view) {
                           return ++visited < 2;
                         })
                  .ok());
  EXPECT_EQ(visited, 2);
}

TEST_F(RocksStoreTest, AScanSeesOneMoment) {
  auto store = Open();
  ASSERT_TRUE(Put(*store, "a", "1").ok());
  ASSERT_TRUE(Put(*store, "b", "1").ok());
  Records seen;
  ASSERT_TRUE(store
                  ->Scan("", "z",
                         [&](std::string_view key, std::string_view value) {
                           seen.emplace_back(key, value);
                           EXPECT_TRUE(Put(*store, "b", "2").ok());
                           EXPECT_TRUE(Put(*store, "c", "2").ok());
                           return true;
                         })
                  .ok());
  EXPECT_EQ(seen, (Records{{"a", "1"}, {"b", "1"}}));
}

TEST_F(RocksStoreTest, WhatWasWrittenIsThereAfterReopening) {
  const std::string blob(100000, 'x');
  const std::string zero("\0\xFF\0", 3);
  {
    auto store = Open();
    ASSERT_TRUE(Put(*store, "blob", blob, true).ok());
    ASSERT_TRUE(Put(*store, zero, zero, false).ok());
    ASSERT_TRUE(Put(*store, "empty", "", false).ok());
    WriteBatch batch;
    batch.Put("gone", "1");
    batch.DeleteRange("g", "h");
    ASSERT_TRUE(store->Write(batch, true).ok());
    EXPECT_GT(store->ApproximateBytes(), blob.size());
  }
  auto store = Open();
  EXPECT_EQ(store->Read("blob").value(), blob);
  EXPECT_EQ(store->Read(zero).value(), zero);
  EXPECT_EQ(store->Read("empty").value(), "");
  EXPECT_FALSE(store->Read("gone").ok());
}

TEST_F(RocksStoreTest, WhatIsFrozenStaysAsItWas) {
  auto store = Open();
  ASSERT_TRUE(Put(*store, "a", "1").ok());
  const auto frozen = store->Freeze();
  ASSERT_TRUE(Put(*store, "a", "2").ok());
  ASSERT_TRUE(Put(*store, "b", "2").ok());
  ASSERT_TRUE(store->Compact("", "z").ok());
  Records seen;
  ASSERT_TRUE(frozen
                  ->Scan("", "z",
                         [&](std::string_view key, std::string_view value) {
                           seen.emplace_back(key, value);
                           return true;
                         })
                  .ok());
  EXPECT_EQ(seen, (Records{{"a", "1"}}));
  EXPECT_EQ(frozen->Read("a").value(), "1");
  EXPECT_TRUE(absl::IsNotFound(frozen->Read("b").status()));
}

TEST_F(RocksStoreTest, ACheckpointHoldsWhatWasNotSynced) {
  const std::string blob(100000, 'x');
  const std::string copy = root_ / "copy";
  auto store = Open();
  ASSERT_TRUE(Put(*store, "blob", blob).ok());
  ASSERT_TRUE(Put(*store, "a", "1").ok());
  ASSERT_TRUE(store->Checkpoint(copy).ok());
  ASSERT_TRUE(Put(*store, "a", "2").ok());
  EXPECT_EQ(ReasonOf(store->Checkpoint(copy)), "DIRECTORY_EXISTS");
  const auto copied = OpenRocksStore(copy).value();
  EXPECT_EQ(ScanAll(*copied, "", "z"), (Records{{"a", "1"}, {"blob", blob}}));
}

// The files under `directory` that hold `bytes`.
int FilesWith(const std::string& directory, const std::string& bytes) {
  int count = 0;
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    std::ifstream in(file.path(), std::ios::binary);
    const std::string content((std::istreambuf_iterator<char>(in)), {});
    if (content.find(bytes) != std::string::npos) ++count;
  }
  return count;
}

TEST_F(RocksStoreTest, CompactionTakesDeletedBytesOffTheDisk) {
  const std::string secret = "the secret bytes";
  auto store = Open();
  std::string blob;
  while (blob.size() < 20000) blob += secret;
  ASSERT_TRUE(Put(*store, "a", "kept").ok());
  ASSERT_TRUE(Put(*store, "m", blob).ok());
  ASSERT_TRUE(Put(*store, "n", secret).ok());
  ASSERT_TRUE(store->Compact("", "z").ok());
  EXPECT_GT(FilesWith(directory(), secret), 0);
  WriteBatch batch;
  batch.Delete("m");
  batch.DeleteRange("n", "o");
  ASSERT_TRUE(store->Write(batch, true).ok());
  ASSERT_TRUE(store->Compact("", "z").ok());
  store = nullptr;  // Files that were replaced are removed by now.
  EXPECT_EQ(FilesWith(directory(), secret), 0);
  EXPECT_EQ(Open()->Read("a").value(), "kept");
}

// In a process of its own, whose files may not grow.
int WriteUntilFull(const std::string& directory) {
  signal(SIGXFSZ, SIG_IGN);
  const auto opened = OpenRocksStore(directory);
  if (!opened.ok()) return 1;
  Store& store = **opened;
  if (!Put(store, "kept", "value", true).ok()) return 2;
  const rlimit limit{300000, 300000};
  if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 3;
  absl::Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) {
    status = Put(store, "k" + std::to_string(i), std::string(20000, 'x'), true);
  }
  if (status.code() != absl::StatusCode::kResourceExhausted &&
      status.code() != absl::StatusCode::kUnavailable) {
    return 4;
  }
  // Nobody knows what reached the disk: nothing more is written.
  if (ReasonOf(Put(store, "more", "")) != "STORE_FAILED") return 5;
  if (store.Read("kept").value_or("") != "value") return 6;
  if (!store.Read("k0").ok()) return 7;
  return 0;
}

// The newest write-ahead log of the directory.
std::filesystem::path LogIn(const std::string& directory) {
  std::filesystem::path newest;
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    if (file.path().extension() == ".log" && file.path() > newest) {
      newest = file.path();
    }
  }
  return newest;
}

std::string ContentOf(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A directory as kill -9 leaves it: copied while the store is open.
void WriteThree(Store& store, const std::string& from,
                const std::filesystem::path& to) {
  for (const char* key : {"a", "b", "c"}) {
    ASSERT_TRUE(Put(store, key, std::string("value of ") + key, true).ok());
  }
  std::filesystem::copy(from, to);
}

TEST_F(RocksStoreTest, ATornTailIsAWriteThatWasNeverAcknowledged) {
  auto store = Open();
  const std::filesystem::path copy = root_ / "torn";
  WriteThree(*store, directory(), copy);
  const std::filesystem::path log = LogIn(copy);
  std::filesystem::resize_file(log, std::filesystem::file_size(log) - 3);
  const auto reopened = OpenRocksStore(copy);
  ASSERT_TRUE(reopened.ok()) << reopened.status();
  EXPECT_EQ((*reopened)->Read("b").value(), "value of b");
  EXPECT_TRUE(absl::IsNotFound((*reopened)->Read("c").status()));
}

TEST_F(RocksStoreTest, DamageBeforeAcknowledgedWritesIsDataLossNotSilence) {
  auto store = Open();
  const std::filesystem::path copy = root_ / "damaged";
  WriteThree(*store, directory(), copy);
  const std::filesystem::path log = LogIn(copy);
  std::string bytes = ContentOf(log);
  const size_t at = bytes.find("value of a");
  ASSERT_NE(at, std::string::npos);
  bytes[at] ^= 1;
  std::ofstream(log, std::ios::binary) << bytes;
  const auto reopened = OpenRocksStore(copy);
  EXPECT_TRUE(absl::IsDataLoss(reopened.status())) << reopened.status();
}

TEST_F(RocksStoreTest, AFullDiskStopsWritesButNotReadsAndReopens) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer starts no threads after a fork";
#endif
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(WriteUntilFull(directory()));
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  ASSERT_EQ(WEXITSTATUS(status), 0);
  auto store = Open();
  EXPECT_EQ(store->Read("kept").value(), "value");
  EXPECT_EQ(store->Read("k0").value(), std::string(20000, 'x'));
  EXPECT_TRUE(Put(*store, "more", "room again", true).ok());
}

TEST_F(RocksStoreTest, ASessionLivesOnIt) {
  FakeClock clock;
  const SessionName name{.space = "test", .session = "s"};
  {
    auto memory = Memory::Open(Open(), &clock).value();
    auto session = memory->Create(name, ProfileByName("text").value()).value();
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(Say(*session, "fact number " + std::to_string(i)).ok());
    }
    ASSERT_TRUE(session->Forget(ByEntry(5)).ok());
    ExpectSound(*session);
  }
  auto memory = Memory::Open(Open(), &clock).value();
  auto session = memory->Find(name).value();
  EXPECT_EQ(session->Info().entries, 199u);
  ExpectSound(*session);
}

}  // namespace
}  // namespace mneme::memory
