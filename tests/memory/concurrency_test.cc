#include <atomic>
#include <map>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "memory/memory.h"
#include "memory/segments.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {
namespace {

constexpr uint64_t kAppends = 400;
constexpr uint64_t kTokensEach = 50;

// Keys of zero weigh every token alike, so the answer is the mean of the
// values, and each append's values are its number: a reader that saw a part of
// an append, or a commit of one tier and another of the next, sees a wrong
// mean.
TEST(Concurrency, AnAnswerBelongsToOneCommitWhileOthersAppendAndSeal) {
  Profile profile;
  profile.key_dim = 4;
  profile.value_dim = 1;
  profile.dtype = attention::DType::kF32;
  profile.sink = SinkTier{.tokens = 3};
  profile.window = WindowTier{.tokens = 70};
  profile.knn =
      KnnTier{.top_k = 8, .positions = {.policy = PositionPolicy::kNone}};
  House house;
  auto session = house.Create("s", profile);
  profile = session->header().profile;
  std::atomic<bool> done = false;

  std::thread writer([&] {
    for (uint64_t number = 0; number < kAppends; ++number) {
      const Tokens tokens{
          .count = kTokensEach,
          .keys = std::string(kTokensEach * profile.key_bytes(), '\0'),
          .values = Narrow(
              profile.dtype,
              std::vector<float>(kTokensEach, static_cast<float>(number))),
          .positions = {}};
      EXPECT_TRUE(session->AppendTokens(tokens.Rows(), {}).ok());
      house.memory().Changed(session);
    }
    done = true;
  });

  const auto read = [&] {
    AttendQuery query;
    query.reads = {{.layer = 0, .rows = 1, .queries = {1, 2, 3, 4}}};
    uint64_t seen = 0;
    bool last = false;
    while (!last) {
      last = done;
      query.top_k = 0;
      const auto all = session->Attend(query, Never);
      ASSERT_TRUE(all.ok()) << all.status();
      EXPECT_GE(all->seq_next, seen);
      seen = all->seq_next;
      EXPECT_EQ(seen % kTokensEach, 0u);
      const auto appends = static_cast<double>(seen) / kTokensEach;
      // A token more or less moves the mean by appends / 2 / seen = 0.01;
      // float sums of 128 values are off by 128 * 2^-24 of the largest, 400.
      EXPECT_NEAR(all->outputs[0].output[0], seen == 0 ? 0 : (appends - 1) / 2,
                  0.002);
      // Through the index, whatever of it is there.
      query.top_k.reset();
      const auto best = session->Attend(query, Never);
      ASSERT_TRUE(best.ok()) << best.status();
      const TierShares& shares = best->outputs[0].shares;
      if (best->seq_next > 0) {
        EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1,
                    1e-5);
      }
      EXPECT_GE(session->Info().seq_next, best->seq_next);
      EXPECT_GE(session->Counts().tokens, best->seq_next);
    }
    EXPECT_EQ(seen, kAppends * kTokensEach);
  };
  std::thread first(read);
  std::thread second(read);
  writer.join();
  first.join();
  second.join();
  while (session->SealOne().value()) {
  }
  ExpectSound(*session);
}

// Entries come in pairs that are told and forgotten together by their source.
TEST(Concurrency, RecallSeesWholeEntriesWhileOthersAppendAndForget) {
  House house;
  auto session = house.CreateText();
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (int i = 0; i < 60; ++i) {
      const std::string source = "s" + std::to_string(i);
      EXPECT_TRUE(Say(*session, "apple " + source, source).ok());
      EXPECT_TRUE(Say(*session, "pear " + source, source).ok());
      if (i >= 5) {
        const std::string old = "s" + std::to_string(i - 5);
        EXPECT_TRUE(session->Forget(BySource(old)).ok());
      }
    }
    done = true;
  });
  const auto read = [&] {
    uint64_t seen = 0;
    bool last = false;
    while (!last) {
      last = done;
      RecallQuery query = Ask("apple pear");
      query.limit = 100;
      const auto result = session->Recall(query, Never);
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_GE(result->seq_next, seen);
      seen = result->seq_next;
      std::map<std::string, int> told;
      for (const RecalledPassage& passage : result->passages) {
        EXPECT_NE(passage.text.find(passage.source), std::string::npos);
        ++told[passage.source];
      }
      // At most the newest lacks its second half.
      int halves = 0;
      for (const auto& [source, count] : told) halves += count == 1;
      EXPECT_LE(halves, 1);
      EXPECT_LE(told.size(), 6u);
      EXPECT_TRUE(
          session->AssembleContext(AskContext("apple", 50, 3), Never).ok());
    }
  };
  std::thread first(read);
  std::thread second(read);
  writer.join();
  first.join();
  second.join();
  EXPECT_EQ(session->Info().entries, 10u);
  ExpectSound(*session);
}

TEST(Concurrency, WritersOfOneSessionWaitForEachOther) {
  House house;
  auto session = house.CreateText();
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&, writer] {
      for (int i = 0; i < 25; ++i) {
        // Every request comes from two writers.
        const std::string id = std::to_string(writer / 2 * 1000 + i);
        EXPECT_TRUE(session->AppendText(Text("fact " + id), WithId(id)).ok());
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(session->Info().entries, 50u);
  EXPECT_EQ(session->Info().seq_next, 50u);
  ExpectSound(*session);
}

// View and records of one moment: no write in between looks like damage.
TEST(Concurrency, AVerificationWhileOthersAppendForgetAndSealFindsNothing) {
  testing::Random random(testing::Seed());
  const Profile profile = SmallProfile();
  House house;
  auto session = house.Create("s", profile);
  const Tokens tokens = RandomTokens(profile, kTokensEach, random);
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (uint64_t number = 0; number < kAppends / 4; ++number) {
      EXPECT_TRUE(session->AppendTokens(tokens.Rows(), AppendOptions()).ok());
      const uint64_t seq = number * kTokensEach;
      if (number % 8 == 0) {
        EXPECT_TRUE(house.memory()
                        .Forget({.space = "test", .session = "s"},
                                SeqRange{seq, seq + 3}, false)
                        .ok());
      }
      house.memory().Changed(session);
    }
    done = true;
  });
  int verified = 0;
  while (!done || verified == 0) {
    ExpectSound(*session);
    ++verified;
  }
  writer.join();
  EXPECT_GT(verified, 1);
  ExpectSound(*session);
}

TEST(Concurrency, SessionsAreFoundCreatedAndDeletedAtOnce) {
  House house;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      const SessionName own{.space = "test",
                            .session = "own" + std::to_string(thread)};
      const SessionName shared{.space = "test", .session = "shared"};
      for (int i = 0; i < 10; ++i) {
        const auto created =
            house.memory().Create(own, ProfileByName("text").value());
        ASSERT_TRUE(created.ok()) << created.status();
        EXPECT_TRUE(Say(**created, "mine").ok());
        EXPECT_TRUE(house.memory().Find(own).ok());
        const auto other =
            house.memory().Create(shared, ProfileByName("text").value());
        EXPECT_TRUE(other.ok() || absl::IsAlreadyExists(other.status()));
        house.memory().List("test", "", 10);
        house.memory().Count();
        EXPECT_TRUE(house.memory().Delete(own).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(house.memory().List("test", "", 10).size(), 1u);
}

// A mutation of every kind, reads of every kind and the work of the background,
// all at once; every answer must be that of some moment.
class EverythingAtOnce : public ::testing::Test {
 protected:
  static constexpr uint64_t kBlocks = 150;

  EverythingAtOnce() {
    Profile profile;
    profile.key_dim = 4;
    profile.value_dim = 1;
    profile.dtype = attention::DType::kF32;
    profile.window = WindowTier{.tokens = 70};
    profile.knn =
        KnnTier{.top_k = 8, .positions = {.policy = PositionPolicy::kNone}};
    rows_ = house_.Create("rows", profile);
    text_ = house_.CreateText();
  }

  // Block number n has the values n.
  void AppendAndCommit() {
    const Profile& profile = rows_->header().profile;
    for (uint64_t number = 0; number < kBlocks; ++number) {
      const Tokens tokens{
          .count = kTokensEach,
          .keys = std::string(kTokensEach * profile.key_bytes(), '\0'),
          .values = Narrow(
              profile.dtype,
              std::vector<float>(kTokensEach, static_cast<float>(number))),
          .positions = {}};
      EXPECT_TRUE(rows_->AppendTokens(tokens.Rows(), {}).ok());
      house_.memory().Changed(rows_);
      if (number % 20 != 0) continue;
      EXPECT_TRUE(rows_->CommitWindow(10).ok());
    }
  }

  void TellAndForget() {
    for (int i = 0; i < 40; ++i) {
      const std::string source = "s" + std::to_string(i);
      EXPECT_TRUE(Say(*text_, "apple " + source, source).ok());
      EXPECT_TRUE(Say(*text_, "pear " + source, source).ok());
      if (i >= 5) {
        const std::string old = "s" + std::to_string(i - 5);
        EXPECT_TRUE(text_->Forget(BySource(old)).ok());
        house_.memory().Changed(text_);
      }
    }
  }

  void CreateAndDelete() {
    for (int i = 0; i < 20; ++i) {
      auto session = house_.CreateText("passing");
      EXPECT_TRUE(Say(*session, "soon gone").ok());
      EXPECT_TRUE(
          house_.memory().Delete({.space = "test", .session = "passing"}).ok());
      house_.memory().List("test", "", 10);
      house_.memory().Count();
    }
  }

  // Keys of zero weigh every token alike: the answer is the mean.
  void Attend() {
    AttendQuery query;
    query.reads = {{.layer = 0, .rows = 1, .queries = {1, 2, 3, 4}}};
    query.top_k = 0;
    const auto all = rows_->Attend(query, Never);
    ASSERT_TRUE(all.ok()) << all.status();
    EXPECT_EQ(all->seq_next % kTokensEach, 0u);
    const auto blocks = static_cast<double>(all->seq_next) / kTokensEach;
    EXPECT_NEAR(all->outputs[0].output[0], blocks == 0 ? 0 : (blocks - 1) / 2,
                0.002);
  }

  void ReadTokens() {
    TokensQuery query;
    query.tensors = true;
    const auto read = rows_->ReadTokens(query);
    ASSERT_TRUE(read.ok()) << read.status();
    const auto values = Widen(rows_->header().profile.dtype, read->values);
    ASSERT_EQ(values.size(), read->seqs.size());
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(values[i], static_cast<float>(read->seqs[i] / kTokensEach));
    }
  }

  void Recall() {
    RecallQuery query = Ask("apple pear");
    query.limit = 100;
    const auto result = text_->Recall(query, Never);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_LE(result->passages.size(), 12u);
    for (const RecalledPassage& passage : result->passages) {
      EXPECT_NE(passage.text.find(passage.source), std::string::npos);
    }
    EXPECT_TRUE(text_->AssembleContext(AskContext("apple", 50, 3), Never).ok());
  }

  House house_;
  std::shared_ptr<Session> rows_;
  std::shared_ptr<Session> text_;
};

TEST_F(EverythingAtOnce, AnswersAreThoseOfOneMoment) {
  std::atomic<int> writing = 3;
  std::vector<std::thread> threads;
  const auto write = [&](auto work) {
    threads.emplace_back([&, work] {
      work();
      --writing;
    });
  };
  write([this] { AppendAndCommit(); });
  write([this] { TellAndForget(); });
  write([this] { CreateAndDelete(); });
  const auto read = [&](auto work) {
    threads.emplace_back([&, work] {
      while (writing > 0 && !HasFailure()) work();
      work();
    });
  };
  read([this] {
    Attend();
    Recall();
  });
  read([this] { ReadTokens(); });
  read([this] {
    EXPECT_TRUE(rows_->SealOne().ok());
    EXPECT_TRUE(text_->Clean(Never).ok());
    ExpectSound(*rows_);
    ExpectSound(*text_);
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(rows_->Info().seq_next, kBlocks * kTokensEach);
  EXPECT_EQ(text_->Info().entries, 10u);
}

}  // namespace
}  // namespace mneme::memory
