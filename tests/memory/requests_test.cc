#include "memory/requests.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "memory/entries.h"
#include "tests/testing/map_store.h"

namespace mneme::memory {
namespace {

constexpr uint64_t kUid = 3;

class RequestsTest : public ::testing::Test {
 protected:
  void Put(const std::string& id, uint64_t fingerprint, int64_t time_us,
           std::optional<uint64_t> entry, uint64_t seq_first = 10) {
    WriteBatch batch;
    AppendResult result;
    result.seq_first = seq_first;
    result.seq_next = seq_first + 2;
    result.position_next = 99;
    result.entry = entry;
    requests_.Put(id, fingerprint, time_us, result, batch);
    ASSERT_TRUE(store_.Write(batch, true).ok());
  }
  bool Known(const std::string& id) {
    return requests_.Find(id, 7, forgotten_)->has_value();
  }

  mneme::testing::MapStore store_;
  SeqSet forgotten_;
  Requests requests_{&store_, Branch{.uid = kUid, .trunks = {}}};
};

TEST_F(RequestsTest, TheFirstAnswerComesBackMarkedAsReplayed) {
  Put("a", 7, 0, 5);
  const auto found = requests_.Find("a", 7, forgotten_).value();
  ASSERT_TRUE(found.has_value());
  EXPECT_TRUE(found->replayed);
  EXPECT_EQ(found->seq_first, 10u);
  EXPECT_EQ(found->seq_next, 12u);
  EXPECT_EQ(found->position_next, 99);
  EXPECT_EQ(found->entry, 5u);
  EXPECT_FALSE(requests_.Find("b", 7, forgotten_)->has_value());
  EXPECT_FALSE(requests_.Find("", 7, forgotten_)->has_value());
}

TEST_F(RequestsTest, AnotherPayloadUnderTheSameIdIsRefused) {
  Put("a", 7, 0, 5);
  const absl::Status status = requests_.Find("a", 8, forgotten_).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_EQ(base::DetailOf(status).reason, "REQUEST_ID_REUSED");
  EXPECT_TRUE(absl::IsInvalidArgument(
      requests_.Find(std::string(kRequestIdBytesMax + 1, 'x'), 7, forgotten_)
          .status()));
}

TEST_F(RequestsTest, OldOnesGoButThoseOfEntriesStay) {
  Put("old", 7, 100, std::nullopt);
  Put("new", 7, 200, std::nullopt);
  Put("entry", 7, 100, 5);
  WriteBatch batch;
  ASSERT_TRUE(requests_.DropOlder(150, batch).ok());
  ASSERT_TRUE(store_.Write(batch, true).ok());
  EXPECT_FALSE(Known("old"));
  EXPECT_TRUE(Known("new"));
  EXPECT_TRUE(Known("entry"));
}

TEST_F(RequestsTest, ThoseOfForgottenAppendsGo) {
  Put("a", 7, 0, 5, 10);
  Put("b", 7, 0, 6, 20);
  WriteBatch batch;
  SeqSet gone;
  gone.Add({10, 12});
  gone.Add({20, 21});
  ASSERT_TRUE(requests_.DropForgotten(gone, batch).ok());
  ASSERT_TRUE(store_.Write(batch, true).ok());
  EXPECT_FALSE(Known("a"));
  EXPECT_TRUE(Known("b"));
}

TEST_F(RequestsTest, AForkKnowsThoseOfItsTrunkUpToWhereItLeftIt) {
  Put("a", 7, 0, 5, 10);
  Put("b", 7, 0, 6, 20);
  const Requests fork(
      &store_, {.uid = kUid + 1,
                .trunks = {{.uid = kUid, .seq_end = 20, .entry_end = 6}}});
  EXPECT_TRUE(fork.Find("a", 7, forgotten_)->has_value());
  EXPECT_FALSE(fork.Find("b", 7, forgotten_)->has_value());
  SeqSet forgotten;
  forgotten.Add({10, 12});
  EXPECT_FALSE(fork.Find("a", 7, forgotten)->has_value());
}

TEST(Entries, TermsThatDoNotFitTheirEntryAreDamage) {
  mneme::testing::MapStore store;
  Entry entry;
  entry.number = 1;
  entry.text = "ten bytes.";
  entry.seq_count = 1;
  const auto read = [&](Span bytes, uint32_t tokens) {
    WriteBatch batch;
    PutEntry(kUid, entry,
             {.passages = {{.bytes = bytes, .tokens = tokens}}, .terms = {{}}},
             batch);
    EXPECT_TRUE(store.Write(batch, true).ok());
    return ReadTerms(store, kUid, entry).status();
  };
  EXPECT_TRUE(read({0, 10}, 1).ok());
  EXPECT_TRUE(absl::IsDataLoss(read({0, 11}, 1)));
  EXPECT_TRUE(absl::IsDataLoss(read({4, 4}, 1)));
  EXPECT_TRUE(absl::IsDataLoss(read({0, 10}, 2)));
}

}  // namespace
}  // namespace mneme::memory
