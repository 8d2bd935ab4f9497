#include "memory/remnants.h"

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "memory/forgotten.h"
#include "memory/header.h"
#include "memory/keys.h"
#include "memory/record.h"
#include "memory/rocks_store.h"
#include "memory/text_index.h"
#include "tests/client/temporary_dir.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {
namespace {

const std::string kSecret =
    "the vault behind the mirror opens with 4711 and a kick";

// A record of a forget, with samples.
void Forget(Store& store, uint64_t uid, uint64_t seq,
            const std::vector<Probe>& probes) {
  WriteBatch batch;
  PutForgotten(uid, {.seqs = {seq, seq + 1}, .probes = probes}, batch);
  ASSERT_TRUE(store.Write(batch, true).ok());
}

class RemnantsTest : public ::testing::Test {
 protected:
  RemnantsTest() : store_(OpenRocksStore(dir_.Path("data")).value()) {}

  std::vector<ForgottenSamples> Samples() {
    const auto samples = ReadForgotten(*store_->Freeze());
    EXPECT_TRUE(samples.ok()) << samples.status();
    return samples.value_or(std::vector<ForgottenSamples>());
  }
  RemnantSearch Search(const std::vector<Probe>& remembered = {}) {
    const auto search =
        SearchRemnants(dir_.Path("data"), Samples(), remembered, Never);
    EXPECT_TRUE(search.ok()) << search.status();
    return search.value_or(RemnantSearch());
  }
  void Put(const std::string& key, const std::string& value) {
    WriteBatch batch;
    batch.Put(key, value);
    ASSERT_TRUE(store_->Write(batch, true).ok());
  }
  // An entry that tells the secret, with a session or without one.
  void SayUnder(uint64_t uid) {
    const Entry entry{.number = 1,
                      .text = "somebody else says that " + kSecret,
                      .seq_first = 5,
                      .seq_count = 1};
    const std::string key = EntryKey(uid, 1);
    Put(key, SealRecord(RecordKind::kEntry, key, EncodeEntry(entry)));
  }
  void Delete(const std::string& key) {
    WriteBatch batch;
    batch.Delete(key);
    ASSERT_TRUE(store_->Write(batch, true).ok());
  }
  void Compact() {
    const KeyRange all = Everything();
    ASSERT_TRUE(store_->Compact(all.first, all.second).ok());
  }

  const testing::TemporaryDir dir_;
  const std::unique_ptr<Store> store_;
};

TEST_F(RemnantsTest, DeletedBytesAreFoundUntilTheyAreCompactedAway) {
  const std::string key = EntryKey(7, 1);
  std::string blob(50'000, '.');
  blob.replace(20'000, kSecret.size(), kSecret);
  Put(key, blob);
  Compact();
  Delete(key);
  Forget(*store_, 7, 3, ProbesOf(kSecret, 2));
  const RemnantSearch before = Search();
  ASSERT_GE(before.found, 2u);
  EXPECT_EQ(before.remnants[0].uid, 7u);
  EXPECT_EQ(before.remnants[0].seq_begin, 3u);
  // It is there, at the byte it says.
  const std::string file = dir_.Read("data/" + before.remnants[0].file);
  EXPECT_NE(kSecret.find(file.substr(before.remnants[0].offset, kProbeBytes)),
            std::string::npos);
  Compact();
  const RemnantSearch after = Search();
  EXPECT_EQ(after.found, 0u);
  EXPECT_GT(after.files, 0u);
  EXPECT_GT(after.bytes, 0u);
}

TEST_F(RemnantsTest, TheWriteAheadLogIsSearchedToo) {
  Put(EntryKey(7, 1), kSecret);
  Delete(EntryKey(7, 1));
  Forget(*store_, 7, 3, ProbesOf(kSecret, 2));
  const RemnantSearch search = Search();
  ASSERT_GT(search.found, 0u);
  EXPECT_EQ(std::filesystem::path(search.remnants[0].file).extension(), ".log");
}

TEST_F(RemnantsTest, APlantedRemnantIsFoundInAnyFile) {
  Forget(*store_, 7, 3, ProbesOf(kSecret, 1));
  EXPECT_EQ(Search().found, 0u);
  std::filesystem::create_directory(dir_.Path("data/lost"));
  dir_.Write("data/lost/core", std::string(2'000'000, 'x') + kSecret);
  const RemnantSearch search = Search();
  ASSERT_EQ(search.found, 1u);
  EXPECT_EQ(search.remnants[0].file, "lost/core");
  EXPECT_GE(search.remnants[0].offset, 2'000'000u);
}

TEST_F(RemnantsTest, WhatIsSaidElsewhereIsStillRemembered) {
  const std::vector<Probe> probes = ProbesOf(kSecret, 3);
  Forget(*store_, 7, 3, probes);
  EXPECT_TRUE(StillRemembered(*store_->Freeze(), probes, Never)->empty());
  SayUnder(8);
  EXPECT_TRUE(StillRemembered(*store_->Freeze(), probes, Never)->empty())
      << "nobody has those records";
  WriteBatch batch;
  PutSession({.header = {.name = {.space = "a", .session = "b"},
                         .profile = ProfileByName("text").value()},
              .branch = {.uid = 8, .trunks = {}}},
             batch);
  ASSERT_TRUE(store_->Write(batch, true).ok());
  const auto remembered = StillRemembered(*store_->Freeze(), probes, Never);
  EXPECT_EQ(*remembered, probes);
  EXPECT_EQ(Search(*remembered).found, 0u);
  EXPECT_GT(Search().found, 0u);
}

TEST_F(RemnantsTest, ARecordThatEverybodyForgotIsNoMemory) {
  SayUnder(8);
  WriteBatch batch;
  PutSession({.header = {.name = {.space = "a", .session = "b"},
                         .profile = ProfileByName("text").value()},
              .branch = {.uid = 9, .trunks = {{.uid = 8, .seq_end = 100}}}},
             batch);
  ASSERT_TRUE(store_->Write(batch, true).ok());
  const std::vector<Probe> probes = ProbesOf(kSecret, 3);
  EXPECT_FALSE(StillRemembered(*store_->Freeze(), probes, Never)->empty());
  Forget(*store_, 9, 5, probes);
  EXPECT_TRUE(StillRemembered(*store_->Freeze(), probes, Never)->empty());
  EXPECT_GT(Search().found, 0u);
}

TEST_F(RemnantsTest, OfADeletedSessionSamplesStayForADay) {
  House house;
  testing::Random random(testing::Seed());
  ASSERT_TRUE(Say(*house.CreateText("said"), kSecret).ok());
  const Profile profile = SmallProfile();
  const Tokens tokens = RandomTokens(profile, 140, random);
  ASSERT_TRUE(
      house.Create("rows", profile)->AppendTokens(tokens.Rows(), {}).ok());
  house.CreateText("empty");
  const auto deleted = house.memory().DeleteNamespace("test");
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_EQ(deleted->sessions, 3u);
  house.memory().CleanUp();
  house.Reopen();
  const auto samples = ReadForgotten(*house.memory().store().Freeze());
  ASSERT_TRUE(samples.ok()) << samples.status();
  EXPECT_EQ(samples->size(), 2u);
  // Of the text, a full block, and the tail, each in a file of its own.
  dir_.Write("data/text", kSecret);
  dir_.Write("data/block", tokens.keys.substr(0, 128 * profile.key_bytes()));
  dir_.Write("data/tail", tokens.keys.substr(128 * profile.key_bytes(),
                                             12 * profile.key_bytes()));
  const auto search = SearchRemnants(dir_.Path("data"), *samples, {}, Never);
  ASSERT_TRUE(search.ok()) << search.status();
  std::set<std::string> files;
  for (const Remnant& remnant : search->remnants) {
    EXPECT_EQ(remnant.uid, 0u);
    files.insert(remnant.file);
  }
  EXPECT_EQ(files, (std::set<std::string>{"text", "block", "tail"}));

  house.clock().Advance(std::chrono::hours(25));
  ASSERT_TRUE(house.memory().DeleteNamespace("test").ok());
  house.memory().CleanUp();
  EXPECT_TRUE(ReadForgotten(*house.memory().store().Freeze())->empty());
}

TEST_F(RemnantsTest, ForgottenBytesInAnIndexAreNoMemory) {
  Put(SegmentKey(7, 0, 0), kSecret);
  const std::vector<Probe> probes = ProbesOf(kSecret, 3);
  EXPECT_TRUE(StillRemembered(*store_->Freeze(), probes, Never)->empty());
}

TEST_F(RemnantsTest, ManyFindsAreCountedAndTheFirstAreTold) {
  Forget(*store_, 7, 3, ProbesOf(kSecret, 1));
  std::string many;
  for (int i = 0; i < 150; ++i) many += kSecret + "\n";
  dir_.Write("data/many", many);
  const RemnantSearch search = Search();
  EXPECT_EQ(search.found, 150u);
  EXPECT_EQ(search.remnants.size(), kRemnantsMax);
}

TEST_F(RemnantsTest, AMissingDirectoryHasNoFilesAndACallerMayGiveUp) {
  const auto none = SearchRemnants(dir_.Path("no"), {}, {}, Never);
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->files, 0u);
  Put("a", "b");
  EXPECT_TRUE(absl::IsCancelled(
      SearchRemnants(dir_.Path("data"), {}, {}, [] { return true; }).status()));
}

TEST_F(RemnantsTest, ADamagedRecordOfAForgetIsNoCleanSearch) {
  Put(ForgottenKey(7, 3), "not a record");
  EXPECT_TRUE(absl::IsDataLoss(ReadForgotten(*store_->Freeze()).status()));
}

}  // namespace
}  // namespace mneme::memory
