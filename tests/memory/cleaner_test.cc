#include "memory/cleaner.h"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "memory/keys.h"
#include "memory/rocks_store.h"
#include "tests/client/temporary_dir.h"
#include "tests/testing/map_store.h"

namespace mneme::memory {
namespace {

class TickingClock final : public base::Clock {
 public:
  std::chrono::system_clock::time_point Now() const override {
    return std::chrono::system_clock::time_point(ticks_);
  }
  std::chrono::steady_clock::time_point Ticks() const override {
    return std::chrono::steady_clock::time_point(ticks_);
  }
  void Advance(std::chrono::seconds by) { ticks_ += by; }

 private:
  std::chrono::nanoseconds ticks_{std::chrono::hours(480000)};
};

// Says what is compacted, and fails where it is told to.
class CompactedStore final : public Store {
 public:
  absl::Status Compact(const std::string& begin,
                       const std::string& end) override {
    compacted.emplace_back(begin, end);
    return begin == failing ? absl::DataLossError("of uid 77, at /srv/data")
                            : absl::OkStatus();
  }
  absl::Status Write(const WriteBatch& batch, bool sync) override {
    return store_.Write(batch, sync);
  }
  absl::StatusOr<std::string> Read(const std::string& key) const override {
    return store_.Read(key);
  }
  absl::Status Scan(
      const std::string& begin, const std::string& end,
      const std::function<bool(std::string_view key, std::string_view value)>&
          visit) const override {
    return store_.Scan(begin, end, visit);
  }
  std::unique_ptr<const StoreView> Freeze() const override {
    return store_.Freeze();
  }
  absl::Status Checkpoint(const std::string& directory) override {
    return store_.Checkpoint(directory);
  }
  uint64_t Moment() const override { return store_.Moment(); }
  bool HasViewBefore(uint64_t moment) const override {
    return store_.HasViewBefore(moment);
  }
  void Interrupt() override {}
  uint64_t ApproximateBytes() const override { return 0; }
  absl::Status Health() const override { return absl::OkStatus(); }

  std::vector<KeyRange> compacted;
  std::string failing;  // Where the range begins whose Compact fails.

 private:
  testing::MapStore store_;
};

// Operations of a store whose sessions all are clean, but those that are not.
class CleanerTest : public ::testing::Test {
 protected:
  std::string Begin(const std::string& space, std::vector<uint64_t> uids,
                    const std::string& session = "",
                    Operation::Kind kind = Operation::Kind::kForget) {
    Operation operation = operations_.New(space, kind);
    operation.create_time_us += ++begun_;  // In their order.
    operation.uids = std::move(uids);
    operation.session = session;
    std::string name = operation.ToString();
    operations_.Add(std::move(operation));
    return name;
  }
  bool Done(const std::string& name) { return operations_.Find(name)->done(); }
  std::string ErrorOf(const std::string& name) {
    return operations_.Find(name)->error;
  }

  TickingClock clock_;
  CompactedStore store_;
  Operations operations_{&store_, &clock_};
  std::map<std::string, absl::Status> unclean_;  // By session.
  std::vector<std::string> cleaned_;
  int64_t begun_ = 0;
  Cleaner cleaner_{
      &store_,
      &operations_,
      &clock_,
      {.clean = [this](const SessionName& name)
           -> absl::StatusOr<std::vector<uint64_t>> {
         cleaned_.push_back(name.session);
         const auto unclean = unclean_.find(name.session);
         if (unclean != unclean_.end()) return unclean->second;
         return std::vector<uint64_t>{900};
       },
       .remembered_of =
           [](uint64_t uid) -> absl::StatusOr<std::optional<Remembered>> {
         if (uid == 66) return absl::DataLossError("of uid 66, at /srv/data");
         return std::nullopt;
       }},
      [] { return false; }};
};

TEST_F(CleanerTest, OneThatFailsHoldsUpNoOtherAndTellsNoDetails) {
  unclean_["bad"] = absl::DataLossError("record of another tenant");
  store_.failing = AllOf(500).first;
  const std::string good = Begin("a", {1});
  const std::string bad_session = Begin("b", {2}, "bad");
  const std::string bad_trunk = Begin("c", {3, 66});
  const std::string bad_compaction = Begin("d", {500});
  const std::string last = Begin("e", {300}, "good");
  cleaner_.Run(/*only_due=*/false);
  EXPECT_TRUE(Done(good));
  EXPECT_TRUE(Done(last));
  for (const std::string& name : {bad_session, bad_trunk, bad_compaction}) {
    EXPECT_FALSE(Done(name));
    EXPECT_TRUE(ErrorOf(name).starts_with("DATA_LOSS")) << ErrorOf(name);
    EXPECT_EQ(ErrorOf(name).find("uid"), std::string::npos);
    EXPECT_EQ(ErrorOf(name).find("tenant"), std::string::npos);
  }
  for (const auto& [begin, end] : store_.compacted) {
    EXPECT_NE(begin, AllOf(2).first) << "for nothing: it was not cleaned";
  }
}

TEST_F(CleanerTest, WhatFailsIsTriedAgainLaterEachTime) {
  unclean_["s"] = absl::UnavailableError("no");
  const std::string name = Begin("a", {1}, "s");
  std::vector<int> tried_at;
  for (int second = 0; second < 16; ++second) {
    cleaned_.clear();
    cleaner_.Run(/*only_due=*/true);
    if (!cleaned_.empty()) tried_at.push_back(second);
    clock_.Advance(std::chrono::seconds(1));
  }
  EXPECT_EQ(tried_at, (std::vector<int>{0, 1, 3, 7, 15}));
  EXPECT_TRUE(store_.compacted.empty());
  unclean_.clear();
  cleaner_.Run(/*only_due=*/false);
  EXPECT_TRUE(Done(name));
  EXPECT_EQ(ErrorOf(name), "");
}

TEST_F(CleanerTest, NeighboursAreCompactedTogether) {
  Begin("a", {10, 12, 20, 100}, "s");
  cleaner_.Run(/*only_due=*/false);
  EXPECT_EQ(store_.compacted,
            (std::vector<KeyRange>{
                {AllOf(10).first, AllOf(20).second}, AllOf(100), AllOf(900)}));
}

TEST_F(CleanerTest, ANamespaceIsDoneAfterItsSessions) {
  unclean_["s"] = absl::UnavailableError("no");
  Begin("a", {1}, "s");
  const std::string whole =
      Begin("a", {}, "", Operation::Kind::kDeleteNamespace);
  const std::string other =
      Begin("b", {}, "", Operation::Kind::kDeleteNamespace);
  cleaner_.Run(/*only_due=*/false);
  EXPECT_FALSE(Done(whole));
  EXPECT_TRUE(Done(other));
  unclean_.clear();
  cleaner_.Run(/*only_due=*/false);
  EXPECT_TRUE(Done(whole));
}

TEST(Cleaner, WaitsForThoseWhoReadAnEarlierMoment) {
  const testing::TemporaryDir dir;
  const auto store = OpenRocksStore(dir.Path("data")).value();
  const TickingClock clock;
  Operations operations(store.get(), &clock);
  Cleaner cleaner(
      store.get(), &operations, &clock,
      {.clean = nullptr,
       .remembered_of =
           [](uint64_t) -> absl::StatusOr<std::optional<Remembered>> {
         return std::nullopt;
       }},
      [] { return false; });
  const auto write = [&](WriteBatch batch) {
    ASSERT_TRUE(store->Write(batch, true).ok());
  };
  WriteBatch said;
  said.Put(EntryKey(7, 1), "a secret");
  write(said);
  auto early = store->Freeze();
  WriteBatch gone;
  gone.Delete(EntryKey(7, 1));
  write(gone);
  const auto late = store->Freeze();
  Operation operation = operations.New("a", Operation::Kind::kForget);
  operation.uids = {7};
  const std::string name = operation.ToString();
  operations.Add(operation);
  cleaner.Run(/*only_due=*/false);
  EXPECT_FALSE(operations.Find(name)->done());
  EXPECT_EQ(operations.Find(name)->error, "");
  early.reset();
  cleaner.Run(/*only_due=*/false);
  EXPECT_TRUE(operations.Find(name)->done());
}

TEST(Cleaner, IsCancelledWithTheStore) {
  const testing::TemporaryDir dir;
  const auto store = OpenRocksStore(dir.Path("data")).value();
  store->Interrupt();
  const KeyRange everything = Everything();
  EXPECT_TRUE(
      absl::IsCancelled(store->Compact(everything.first, everything.second)));
}

}  // namespace
}  // namespace mneme::memory
