#include "memory/trunks.h"

#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/forgotten.h"
#include "memory/keys.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {
namespace {

SessionRecord Reader(uint64_t uid, std::vector<Trunk> trunks) {
  return {.header = {.profile = SmallProfile()},
          .branch = {.uid = uid, .trunks = std::move(trunks)}};
}

void Forget(Store& store, uint64_t uid, SeqRange seqs) {
  WriteBatch batch;
  PutForgotten(uid, {.seqs = seqs, .probes = {}}, batch);
  ASSERT_TRUE(store.Write(batch, true).ok());
}

TEST(Trunks, AreRememberedByWhoeverReadsThem) {
  testing::MapStore store;
  Trunks trunks;
  trunks.AddReader(Reader(5, {{.uid = 1, .seq_end = 100}}));
  trunks.AddReader(Reader(6, {{.uid = 1, .seq_end = 60}, {.uid = 2}}));
  Forget(store, 5, {0, 100});
  Forget(store, 6, {10, 20});
  const auto both = trunks.RememberedOf(1, store);
  ASSERT_TRUE(both.ok() && both->has_value()) << both.status();
  EXPECT_EQ((*both)->seq_end, 100u);
  EXPECT_EQ((*both)->profile.name, SmallProfile().name);
  EXPECT_EQ((*both)->seqs.CountIn({0, 100}), 50u);
  EXPECT_FALSE((*both)->seqs.Contains(10));
  EXPECT_FALSE((*both)->seqs.Contains(60));
  EXPECT_FALSE(trunks.RememberedOf(5, store)->has_value()) << "its own records";
}

TEST(Trunks, OfTheLastReaderAreTold) {
  const testing::MapStore store;
  const SessionRecord one = Reader(5, {{.uid = 1, .seq_end = 100}});
  const SessionRecord two =
      Reader(6, {{.uid = 1, .seq_end = 60}, {.uid = 2, .seq_end = 70}});
  Trunks trunks;
  trunks.AddReader(one);
  trunks.AddReader(one);
  trunks.AddReader(two);
  EXPECT_EQ(trunks.ReadOnlyBy(one.branch), std::vector<uint64_t>());
  EXPECT_EQ(trunks.ReadOnlyBy(two.branch), std::vector<uint64_t>{2});
  trunks.RemoveReader(two.branch);
  EXPECT_EQ(trunks.ReadOnlyBy(one.branch), std::vector<uint64_t>{1});
  EXPECT_FALSE(trunks.RememberedOf(2, store)->has_value());
  trunks.RemoveReader(one.branch);
  trunks.RemoveReader(one.branch);
  EXPECT_FALSE(trunks.RememberedOf(1, store)->has_value());
}

TEST(Trunks, WhoseReaderCannotBeReadAreNotSwept) {
  testing::MapStore store;
  Trunks trunks;
  trunks.AddReader(Reader(5, {{.uid = 1, .seq_end = 100}}));
  WriteBatch batch;
  batch.Put(ForgottenKey(5, 0), "no record");
  ASSERT_TRUE(store.Write(batch, true).ok());
  EXPECT_TRUE(absl::IsDataLoss(trunks.RememberedOf(1, store).status()));
}

}  // namespace
}  // namespace mneme::memory
