#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "memory/branch.h"
#include "memory/header.h"
#include "memory/keys.h"
#include "memory/log_loader.h"
#include "memory/row_records.h"
#include "memory/shared_parts.h"
#include "memory/sweep.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {
namespace {

using testing::Random;
using testing::Seed;

SessionName Name(const std::string& session) {
  return {.space = "test", .session = session};
}

uint64_t BytesOf(testing::MapDisk& disk) {
  base::MutexLock lock(&disk.mutex);
  uint64_t bytes = 0;
  for (const auto& [key, record] : disk.records) {
    bytes += key.size() + record.size();
  }
  return bytes;
}

bool Holds(testing::MapDisk& disk, const std::string& bytes) {
  base::MutexLock lock(&disk.mutex);
  return std::any_of(disk.records.begin(), disk.records.end(),
                     [&](const auto& entry) {
                       return entry.second.find(bytes) != std::string::npos;
                     });
}

void ExpectDone(Memory& memory, const std::string& operation) {
  memory.CleanUp();  // Whether the background thread is at it or not.
  const auto found = memory.FindOperation(operation);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(found->done()) << found->error;
}

// What a session was told: the truth that forks are compared with.
struct Told {
  Tokens tokens;
  SeqSet forgotten;
};

void Append(const Profile& profile, const Tokens& more, Told& told) {
  Tokens all{.count = told.tokens.count + more.count,
             .keys = {},
             .values = {},
             .positions = {}};
  for (size_t bank = 0; bank < profile.bank_count(); ++bank) {
    for (const Tokens* part :
         std::initializer_list<const Tokens*>{&told.tokens, &more}) {
      all.keys += part->keys.substr(bank * part->count * profile.key_bytes(),
                                    part->count * profile.key_bytes());
      all.values +=
          part->values.substr(bank * part->count * profile.value_bytes(),
                              part->count * profile.value_bytes());
    }
  }
  told.tokens = std::move(all);
}

Told Below(const Profile& profile, const Told& told, uint64_t seq) {
  Told below{.tokens = Cut(profile, told.tokens, 0, seq), .forgotten = {}};
  told.forgotten.ForEachRun({0, seq},
                            [&](SeqRange run) { below.forgotten.Add(run); });
  return below;
}

// A session that was told the same and never forked answers the same, bit for
// bit.
void ExpectLikeNew(const Session& session, const Told& told, Random& random) {
  const Profile& profile = session.header().profile;
  House house;
  auto twin = house.Create("twin", profile);
  if (told.tokens.count > 0) {
    ASSERT_TRUE(twin->AppendTokens(told.tokens.Rows(), {}).ok());
  }
  told.forgotten.ForEachRun({0, told.tokens.count}, [&](SeqRange run) {
    ASSERT_TRUE(twin->Forget(run).ok());
  });
  const SessionInfo info = session.Info();
  const SessionInfo expected = twin->Info();
  EXPECT_EQ(info.seq_next, expected.seq_next);
  EXPECT_EQ(info.position_next, expected.position_next);
  EXPECT_EQ(info.tokens, expected.tokens);
  const AttendQuery query = RandomQuery(profile, 2, random);
  const auto answer = session.Attend(query, Never);
  ASSERT_TRUE(answer.ok()) << answer.status();
  ExpectSameAnswer(*answer, twin->Attend(query, Never).value());
  const auto read = session.ReadTokens({.layer = 1, .tensors = true}).value();
  const auto same = twin->ReadTokens({.layer = 1, .tensors = true}).value();
  EXPECT_EQ(read.seqs, same.seqs);
  EXPECT_EQ(read.positions, same.positions);
  EXPECT_EQ(read.keys, same.keys);
  EXPECT_EQ(read.values, same.values);
}

class Fork : public ::testing::Test {
 protected:
  std::shared_ptr<Session> Make(const std::string& name, uint64_t tokens) {
    auto session = house_.Create(name, SmallProfile());
    if (tokens > 0) Add(name, tokens);
    return session;
  }
  void Add(const std::string& name, uint64_t count) {
    const Profile profile = SmallProfile();
    const Tokens more = RandomTokens(profile, count, *random_);
    ASSERT_TRUE(house_.Find(name).value()->AppendTokens(more.Rows(), {}).ok());
    Append(profile, more, told_[name]);
  }
  absl::Status ForkTo(const std::string& name, const std::string& fork,
                      std::optional<uint64_t> at = std::nullopt) {
    const absl::Status forked =
        house_.memory().Fork(Name(name), Name(fork), at, std::nullopt);
    if (forked.ok()) {
      told_[fork] = Below(SmallProfile(), told_[name],
                          at.value_or(told_[name].tokens.count));
    }
    return forked;
  }
  std::string Forget(const std::string& name, SeqRange run) {
    const auto forgotten = house_.memory().Forget(Name(name), run, false);
    EXPECT_TRUE(forgotten.ok()) << forgotten.status();
    told_[name].forgotten.Add(run);
    return forgotten.ok() ? forgotten->operation : "";
  }
  void ExpectAllLikeNew() {
    for (const auto& [name, told] : told_) {
      SCOPED_TRACE(name);
      const auto session = house_.Find(name);
      ASSERT_TRUE(session.ok()) << session.status();
      ExpectLikeNew(**session, told, *random_);
      ExpectSound(**session);
    }
  }
  void OnScan(std::function<void(const std::string& begin)> call) {
    base::MutexLock lock(&house_.disk().mutex);
    house_.disk().on_scan = std::move(call);
  }
  std::string RowOf(const std::string& name, uint64_t seq) {
    return told_[name].tokens.keys.substr(seq * SmallProfile().key_bytes(),
                                          SmallProfile().key_bytes());
  }

  // Below n.
  uint64_t Draw(uint64_t n) {
    return static_cast<uint64_t>(random_->Int(0, static_cast<int64_t>(n) - 1));
  }

  Random* random_ = nullptr;  // The test's own, which traces its scope.
  House house_;
  std::map<std::string, Told> told_;
};

TEST_F(Fork, AtEveryBorderOfABlockBothSidesAnswerLikeNewSessions) {
  Random random(Seed());
  random_ = &random;
  for (const uint64_t tokens : {0, 1, 127, 128, 129, 300}) {
    for (const uint64_t at : {0, 1, 127, 128, 129, 256, 300}) {
      if (at > tokens) continue;
      SCOPED_TRACE(::testing::Message() << at << " of " << tokens);
      const std::string name = "s" + std::to_string(tokens);
      const std::string fork = name + "-" + std::to_string(at);
      if (!told_.contains(name)) Make(name, tokens);
      told_[name];
      ASSERT_TRUE(ForkTo(name, fork, at).ok());
      EXPECT_EQ(house_.Find(fork).value()->Info().seq_next, at);
    }
  }
  ExpectAllLikeNew();
  for (const auto& [name, told] : std::map(told_)) {
    Add(name, 1 + Draw(150));
  }
  ExpectAllLikeNew();
  house_.Reopen();
  ExpectAllLikeNew();
}

TEST_F(Fork, AnyHistoryOfForksAnswersLikeNewSessions) {
  Random random(Seed());
  random_ = &random;
  Make("s0", 200);
  int made = 1;
  for (int step = 0; step < 120; ++step) {
    auto chosen = told_.begin();
    std::advance(chosen, Draw(told_.size()));
    const std::string name = chosen->first;
    const uint64_t count = chosen->second.tokens.count;
    switch (Draw(6)) {
      case 0:
      case 1:
        Add(name, 1 + Draw(140));
        break;
      case 2: {
        const std::string fork = "s" + std::to_string(made++);
        const bool all = Draw(2) == 0;
        ASSERT_TRUE(ForkTo(name, fork, all ? count : Draw(count + 1)).ok());
        break;
      }
      case 3: {
        if (count == 0) break;
        const uint64_t begin = Draw(count);
        const SeqRange run{begin, std::min(count, begin + 1 + Draw(400))};
        if (told_[name].forgotten.CountIn(run) == run.size()) break;
        ExpectDone(house_.memory(), Forget(name, run));
        break;
      }
      case 4:
        if (told_.size() < 3) break;
        ExpectDone(house_.memory(), house_.memory().Delete(Name(name)).value());
        told_.erase(name);
        break;
      default:
        house_.Reopen();
    }
    if (step % 10 == 9) ExpectAllLikeNew();
  }
  for (const auto& [name, told] : told_) {
    ExpectDone(house_.memory(), house_.memory().Delete(Name(name)).value());
  }
  base::MutexLock lock(&house_.disk().mutex);
  for (const auto& [key, record] : house_.disk().records) {
    EXPECT_NE(key[0], 'd') << "a record without a session";
  }
}

TEST_F(Fork, WhatOneForgetsTheOtherRemembersAndWhatAllForgetLeavesTheDisk) {
  Random random(Seed());
  random_ = &random;
  Make("p", 300);
  ASSERT_TRUE(ForkTo("p", "c").ok());
  const std::string early = RowOf("p", 50);
  const std::string late = RowOf("p", 290);
  ExpectDone(house_.memory(), Forget("p", {40, 60}));
  EXPECT_TRUE(Holds(house_.disk(), early));
  ExpectAllLikeNew();
  ExpectDone(house_.memory(), Forget("c", {50, 51}));
  ExpectDone(house_.memory(), Forget("c", {280, 300}));
  EXPECT_FALSE(Holds(house_.disk(), early));
  EXPECT_TRUE(Holds(house_.disk(), late));
  ExpectAllLikeNew();
  ExpectDone(house_.memory(), house_.memory().Delete(Name("p")).value());
  EXPECT_FALSE(Holds(house_.disk(), late));
  told_.erase("p");
  house_.Reopen();
  ExpectAllLikeNew();
}

TEST_F(Fork, InsideABlockThatTheParentForgotGoesOnWithRowsOfItsOwn) {
  Random random(Seed());
  random_ = &random;
  Make("p", 256);
  ExpectDone(house_.memory(), Forget("p", {0, 128}));
  ASSERT_TRUE(ForkTo("p", "c", 64).ok());
  Add("c", 10);
  ExpectAllLikeNew();
  house_.Reopen();
  ExpectAllLikeNew();
  Add("c", 60);
  house_.Reopen();
  ExpectAllLikeNew();
}

TEST_F(Fork, WhatItForgotIsNotWrittenAgainWithTheRestOfItsBlock) {
  Random random(Seed());
  random_ = &random;
  for (const char* fork : {"c", "d"}) {
    SCOPED_TRACE(fork);
    Make("p", 100);
    const std::string row = RowOf("p", 20);
    ASSERT_TRUE(ForkTo("p", fork).ok());
    ExpectDone(house_.memory(), Forget(fork, {0, 50}));
    if (fork == std::string("d")) house_.Reopen();
    Add(fork, 10);
    if (fork == std::string("d")) house_.Reopen();
    Add(fork, 18);
    ExpectAllLikeNew();
    ExpectDone(house_.memory(), house_.memory().Delete(Name("p")).value());
    told_.erase("p");
    EXPECT_FALSE(Holds(house_.disk(), row));
  }
}

TEST_F(Fork, ThatRemembersLostRowsDoesNotTakeTheBlankOfOneThatForgotThem) {
  Random random(Seed());
  random_ = &random;
  Make("p", 256);
  const uint64_t uid = house_.Find("p").value()->branch().uid;
  ASSERT_TRUE(ForkTo("p", "c").ok());
  ExpectDone(house_.memory(), Forget("c", {0, 128}));
  {
    base::MutexLock lock(&house_.disk().mutex);
    for (uint32_t bank = 0; bank < SmallProfile().bank_count(); ++bank) {
      EXPECT_EQ(house_.disk().records.erase(RowsKey(uid, 0, bank)), 1u);
    }
  }
  house_.Reopen();
  const auto forgetful = house_.Find("c");
  EXPECT_TRUE(forgetful.ok()) << forgetful.status();
  EXPECT_TRUE(absl::IsDataLoss(house_.Find("p").status()));
}

TEST_F(Fork, BehindAThousandOthersIsRefused) {
  Random random(Seed());
  random_ = &random;
  const Profile profile = SmallProfile();
  auto session = Make("p", 0);
  const Tokens one = RandomTokens(profile, 1, random);
  absl::Status forked;
  int forks = 0;
  for (; forked.ok() && forks < 1100; ++forks) {
    ASSERT_TRUE(session->AppendTokens(one.Rows(), {}).ok());
    forked = house_.memory().Fork(Name("p"), Name("c"), {}, {});
    if (!forked.ok()) continue;
    ASSERT_TRUE(house_.memory().Delete(Name("c")).ok());
  }
  EXPECT_EQ(forks, 1001);
  EXPECT_EQ(ReasonOf(forked), "TOO_MANY_FORKS");
  session.reset();
  house_.Reopen();
  EXPECT_EQ(house_.Find("p").value()->Info().seq_next, 1001u);
}

TEST_F(Fork, TakesNoCheckpointOfWhatItsParentWentOnWith) {
  Random random(Seed());
  random_ = &random;
  Make("p", 200);
  ExpectDone(house_.memory(), Forget("p", {10, 12}));  // Checkpoints anew.
  ASSERT_TRUE(ForkTo("p", "c", 60).ok());
  Add("c", 200);
  house_.Reopen();
  ExpectAllLikeNew();
}

TEST_F(Fork, AWholeBlockThatAllForgetIsMissingAndSound) {
  Random random(Seed());
  random_ = &random;
  Make("p", 300);
  ASSERT_TRUE(ForkTo("p", "c").ok());
  ExpectDone(house_.memory(), Forget("p", {0, kBlockTokens + 10}));
  ExpectDone(house_.memory(), Forget("c", {0, kBlockTokens}));
  ExpectAllLikeNew();
  house_.Reopen();
  ExpectAllLikeNew();
}

TEST_F(Fork, RemembersWhatItsParentForgetsWhileOthersAreCleanedUp) {
  Random random(Seed());
  random_ = &random;
  // At each moment at which it is read what somebody forgot, "p" is forked and
  // forgets.
  bool begun = true;
  for (int moment = 0; begun; ++moment) {
    const auto name = [&](const char* prefix) {
      return absl::StrCat(prefix, moment);
    };
    Make(name("p"), 300);
    ASSERT_TRUE(ForkTo(name("p"), name("a")).ok());
    std::thread meanwhile;
    std::string operation;
    std::atomic<int> left = moment;
    absl::Notification done;
    const auto fork_and_forget = [&] {
      EXPECT_TRUE(
          house_.memory().Fork(Name(name("p")), Name(name("z")), {}, {}).ok());
      const auto forgotten =
          house_.memory().Forget(Name(name("p")), SeqRange{20, 30}, false);
      EXPECT_TRUE(forgotten.ok()) << forgotten.status();
      if (forgotten.ok()) operation = forgotten->operation;
      done.Notify();
    };
    OnScan([&](const std::string& begin) {
      const auto kind = static_cast<RecordKind>(begin.back());
      if (kind != RecordKind::kForgotten || left.fetch_sub(1) != 0) return;
      meanwhile = std::thread(fork_and_forget);
      // It may have to wait for us.
      done.WaitForNotificationWithTimeout(absl::Milliseconds(50));
    });
    ExpectDone(house_.memory(), Forget(name("a"), {20, 40}));
    OnScan(nullptr);
    begun = left < 0;
    if (begun) {
      meanwhile.join();
      told_[name("z")] = Below(SmallProfile(), told_[name("p")], 300);
      told_[name("p")].forgotten.Add({20, 30});
      ExpectDone(house_.memory(), operation);
    }
    EXPECT_TRUE(begun || moment > 1);
  }
  house_.Reopen();
  ExpectAllLikeNew();
}

TEST_F(Fork, WhatOnlyTheDeletedParentRememberedLeavesTheDisk) {
  Random random(Seed());
  random_ = &random;
  Make("p", 400);
  ASSERT_TRUE(ForkTo("p", "c", 130).ok());
  const std::string before = RowOf("p", 129);
  const std::string behind = RowOf("p", 131);
  const std::string whole_block = RowOf("p", 300);
  ExpectDone(house_.memory(), house_.memory().Delete(Name("p")).value());
  told_.erase("p");
  EXPECT_TRUE(Holds(house_.disk(), before));
  EXPECT_FALSE(Holds(house_.disk(), behind));
  EXPECT_FALSE(Holds(house_.disk(), whole_block));
  house_.Reopen();
  ExpectAllLikeNew();
}

TEST_F(Fork, AHundredForksCostNextToNothing) {
  Random random(Seed());
  random_ = &random;
  const Profile profile = SmallProfile();
  Make("p", 20'000);
  const auto parent = house_.Find("p").value();
  while (parent->SealOne().value()) {
  }
  const uint64_t before = BytesOf(house_.disk());
  std::vector<std::shared_ptr<Session>> forks;
  for (int i = 0; i < 100; ++i) {
    const std::string name = "f" + std::to_string(i);
    ASSERT_TRUE(ForkTo("p", name).ok());
    forks.push_back(house_.Find(name).value());
  }
  EXPECT_LT(static_cast<double>(BytesOf(house_.disk())), 1.05 * before);
  told_.clear();
}

TEST_F(Fork, TextIsSharedAndThenIndependent) {
  Random random(Seed());
  random_ = &random;
  auto parent = house_.CreateText("p");
  ASSERT_TRUE(Say(*parent, "The first apple is red.", "a").ok());
  const auto second = Say(*parent, "The second pear is green.", "b");
  ASSERT_TRUE(second.ok());
  const TextEntry late = Text("The third plum is blue.");
  ASSERT_TRUE(parent->AppendText(late, WithId("id")).ok());
  ASSERT_TRUE(ForkTo("p", "all").ok());
  ASSERT_TRUE(ForkTo("p", "two", second->seq_next).ok());
  auto all = house_.Find("all").value();
  auto two = house_.Find("two").value();
  EXPECT_EQ(all->Info().entries, 3u);
  EXPECT_EQ(two->Info().entries, 2u);
  EXPECT_TRUE(all->AppendText(late, WithId("id"))->replayed);
  const auto again = two->AppendText(late, WithId("id"));
  EXPECT_FALSE(again->replayed);
  EXPECT_EQ(again->entry, 3u);
  EXPECT_TRUE(Knows(*two, "plum"));
  EXPECT_TRUE(Knows(*parent, "apple"));
  ASSERT_TRUE(parent->Forget(BySource("a")).ok());
  EXPECT_FALSE(Knows(*parent, "apple"));
  for (int opening = 0; opening < 2; ++opening) {
    EXPECT_TRUE(Knows(*house_.Find("all").value(), "apple"));
    EXPECT_FALSE(Knows(*house_.Find("p").value(), "apple"));
    ExpectSound(*house_.Find("two").value());
    parent.reset();
    all.reset();
    two.reset();
    house_.Reopen();
  }
}

TEST_F(Fork, BesideAnEntryThatOnlyOthersRememberCanBeOpened) {
  auto parent = house_.CreateText("p");
  for (const char* text : {"One red fox. It ran.", "Two blue owls. They flew.",
                           "Three green frogs. They swam."}) {
    ASSERT_TRUE(Say(*parent, text).ok());
  }
  ASSERT_TRUE(house_.memory().Fork(Name("p"), Name("other"), {}, {}).ok());
  ExpectDone(house_.memory(),
             house_.memory().Forget(Name("p"), ByEntry(2), false)->operation);
  int forks = 0;
  for (const uint64_t at : {2, 3, 4}) {
    const std::string name = absl::StrCat("f", ++forks);
    ASSERT_TRUE(house_.memory().Fork(Name("p"), Name(name), at, {}).ok());
    for (const bool reopened : {false, true}) {
      if (reopened) house_.Reopen();
      const auto fork = house_.Find(name);
      ASSERT_TRUE(fork.ok()) << fork.status();
      EXPECT_TRUE(Knows(**fork, "fox"));
      EXPECT_FALSE(Knows(**fork, "owls"));
      EXPECT_FALSE(Knows(**fork, "frogs"));
      ASSERT_TRUE(Say(**fork, "Four white swans.").ok());
      EXPECT_TRUE(Knows(**fork, "swans"));
      ExpectSound(**fork);
    }
  }
  EXPECT_TRUE(Knows(*house_.Find("other").value(), "owls"));
}

TEST_F(Fork, InsideAnEntryOrBehindTheLogIsRefused) {
  Random random(Seed());
  random_ = &random;
  auto parent = house_.CreateText("p");
  ASSERT_TRUE(Say(*parent, "One. Two. Three.").ok());
  const auto inside =
      house_.memory().Fork(Name("p"), Name("c"), 1, std::nullopt);
  EXPECT_EQ(inside.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldOf(inside), "at_seq");
  EXPECT_EQ(house_.memory().Fork(Name("p"), Name("c"), 99, std::nullopt).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(house_.memory().Fork(Name("x"), Name("c"), {}, {}).code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(house_.memory().Fork(Name("p"), Name("p"), {}, {}).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(house_.Find("c").status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(house_.memory().Fork(Name("p"), Name("c"), {}, {}).ok());
}

TEST(Branch, PartsFollowEachOtherAndEntriesAreFound) {
  const Branch branch{.uid = 9,
                      .trunks = {{.uid = 3, .seq_end = 10, .entry_end = 4},
                                 {.uid = 5, .seq_end = 20, .entry_end = 6}}};
  const auto parts = branch.Parts(25);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[1].seqs, (SeqRange{10, 20}));
  EXPECT_EQ(parts[2].seqs, (SeqRange{20, 25}));
  EXPECT_TRUE(parts[2].own);
  EXPECT_EQ(branch.UidOfEntry(3), 3u);
  EXPECT_EQ(branch.UidOfEntry(4), 5u);
  EXPECT_EQ(branch.UidOfEntry(6), 9u);
  EXPECT_EQ(branch.TrunksBelow(10, 4).size(), 1u);
  EXPECT_EQ(branch.TrunksBelow(15, 5).back(),
            (Trunk{.uid = 5, .seq_end = 15, .entry_end = 5}));
  EXPECT_TRUE(branch.TrunksBelow(0, 0).empty());
}

TEST(RowRecords, AFullBlockIsARecordABankAndOneOfPositions) {
  const Profile profile = SmallProfile();
  const RowBlock block(profile);
  WriteBatch batch;
  PutBlock(1, profile, block, 7, batch);
  ASSERT_EQ(batch.operations.size(), 1 + profile.bank_count());
  EXPECT_EQ(batch.operations[0].key, PositionsKey(1, 7));
  EXPECT_EQ(batch.operations[1].key, RowsKey(1, 7, 0));
  PutTail(1, profile, block, 130, 5, batch);
  const auto& tail = batch.operations.back();
  EXPECT_EQ(tail.key, TailKey(1, 130));
  EXPECT_EQ(OpenRecord(RecordKind::kTail, tail.key, tail.value)->size(),
            sizeof(uint32_t) + 5 * (sizeof(int64_t) + profile.token_bytes()));
}

TEST(Shared, PartsLastAsLongAsSomebodyHasThem) {
  const Profile profile = SmallProfile();
  Shared<RowBlock> shared;
  auto block = std::make_shared<RowBlock>(profile);
  shared.Lend(1, 2, block);
  EXPECT_EQ(shared.Find(1, 2), block);
  EXPECT_EQ(shared.Find(1, 3), nullptr);
  block.reset();
  EXPECT_EQ(shared.Find(1, 2), nullptr);
}

TEST(SessionRecord, ComesBackAsItWas) {
  SessionRecord record{
      .header = {.name = Name("a"),
                 .profile = SmallProfile(),
                 .create_time_us = 5},
      .ttl_us = 7,
      .branch = {.uid = 9,
                 .trunks = {{.uid = 3, .seq_end = 10, .entry_end = 4}}}};
  WriteBatch batch;
  PutSession(record, batch);
  const auto& put = batch.operations.at(0);
  const auto back = DecodeSession(put.key, put.value);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->header.profile, record.header.profile);
  EXPECT_EQ(back->ttl_us, 7);
  EXPECT_EQ(back->branch.trunks, record.branch.trunks);
  record.branch.trunks.push_back({.uid = 4, .seq_end = 10, .entry_end = 4});
  PutSession(record, batch);
  const auto& bad = batch.operations.at(1);
  EXPECT_TRUE(absl::IsDataLoss(DecodeSession(bad.key, bad.value).status()));
}

}  // namespace
}  // namespace mneme::memory
