#include "service/limits.h"

#include <atomic>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace mneme::service {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using Charge = Limits::Charge;

class LimitsTest : public ::testing::Test {
 protected:
  void Set(const std::string& json) {
    auto table = ParseLimitTable(json);
    ASSERT_TRUE(table.ok()) << table.status();
    limits_.Set(*std::move(table));
  }

  testing::FakeClock clock_;
  std::atomic<uint64_t> bytes_ = 0;
  std::atomic<uint64_t> sessions_ = 0;
  std::atomic<int> counted_ = 0;
  Limits limits_{
      &clock_,
      {.bytes =
           [this](const std::string&) {
             ++counted_;
             return bytes_.load();
           },
       .sessions = [this](const std::string&) { return sessions_.load(); }}};
};

TEST_F(LimitsTest, WithoutATableNothingIsLimited) {
  for (int i = 0; i < 1000; ++i) {
    const auto ticket = limits_.Admit("a", Charge::kAppend, 1 << 20);
    ASSERT_TRUE(ticket.ok());
    EXPECT_EQ(*ticket, nullptr);
  }
  EXPECT_TRUE(limits_.CheckRoom("a", Charge::kSession).ok());
  EXPECT_EQ(counted_, 0);
}

TEST_F(LimitsTest, APlaceInFlightIsFreeWhenTheTicketIsGone) {
  Set(R"({"default": {"in_flight": 2}})");
  auto first = limits_.Admit("a", Charge::kNothing, 1);
  auto second = limits_.Admit("a", Charge::kNothing, 1);
  ASSERT_TRUE(first.ok() && second.ok());
  const absl::Status third = limits_.Admit("a", Charge::kNothing, 1).status();
  EXPECT_EQ(third.code(), absl::StatusCode::kResourceExhausted);
  const base::ErrorDetail detail = base::DetailOf(third);
  EXPECT_EQ(detail.reason, "QUOTA_IN_FLIGHT");
  EXPECT_EQ(detail.quota, "namespaces/a");
  EXPECT_EQ(detail.metadata.at("limit"), "2");
  EXPECT_GT(detail.retry_after.value().count(), 0);
  EXPECT_THAT(std::string(third.message()),
              HasSubstr("namespaces/a may have 2 requests in flight, and 2 are "
                        "used"));
  // The others get theirs.
  EXPECT_TRUE(limits_.Admit("b", Charge::kNothing, 1).ok());
  first->reset();
  EXPECT_TRUE(limits_.Admit("a", Charge::kNothing, 1).ok());
}

TEST_F(LimitsTest, BytesInFlightAreThoseOfRequestsAndOfAnswersNotSent) {
  Set(R"({"default": {"in_flight_bytes": 100}})");
  auto first = limits_.Admit("a", Charge::kNothing, 60);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(
      base::DetailOf(limits_.Admit("a", Charge::kNothing, 41).status()).reason,
      "QUOTA_IN_FLIGHT");
  EXPECT_TRUE(limits_.Admit("a", Charge::kNothing, 40).ok());
  (*first)->Answered(30);
  EXPECT_FALSE(limits_.Admit("a", Charge::kNothing, 11).ok());
  EXPECT_TRUE(limits_.Admit("a", Charge::kNothing, 10).ok());
  first->reset();
  EXPECT_TRUE(limits_.Admit("a", Charge::kNothing, 100).ok());
}

TEST_F(LimitsTest, AnAnsweredRequestHasNoPlaceButItsBytes) {
  Set(R"({"default": {"in_flight": 1, "in_flight_bytes": 100}})");
  const auto first = limits_.Admit("a", Charge::kNothing, 10);
  ASSERT_TRUE(first.ok());
  EXPECT_FALSE(limits_.Admit("a", Charge::kNothing, 1).ok());
  (*first)->Answered(80);
  EXPECT_TRUE(limits_.Admit("a", Charge::kNothing, 10).ok());
  EXPECT_FALSE(limits_.Admit("a", Charge::kNothing, 11).ok());
}

TEST_F(LimitsTest, ALoneRequestIsTakenWhateverItsSize) {
  Set(R"({"default": {"in_flight_bytes": 100}})");
  const auto large = limits_.Admit("a", Charge::kNothing, 5000);
  EXPECT_TRUE(large.ok());
  EXPECT_FALSE(limits_.Admit("a", Charge::kNothing, 1).ok());
}

TEST_F(LimitsTest, AppendsAreRefusedUntilTheNextOneFits) {
  Set(R"({"default": {"appends_per_second": 4, "appends_burst": 2}})");
  EXPECT_TRUE(limits_.Admit("a", Charge::kAppend, 1).ok());
  EXPECT_TRUE(limits_.Admit("a", Charge::kAppend, 1).ok());
  const absl::Status third = limits_.Admit("a", Charge::kAppend, 1).status();
  const base::ErrorDetail detail = base::DetailOf(third);
  EXPECT_EQ(detail.reason, "QUOTA_APPENDS");
  EXPECT_EQ(detail.retry_after, milliseconds(250));
  EXPECT_TRUE(limits_.Admit("a", Charge::kNothing, 1).ok());
  EXPECT_TRUE(limits_.Admit("b", Charge::kAppend, 1).ok());
  clock_.Pass(milliseconds(250));
  EXPECT_TRUE(limits_.Admit("a", Charge::kAppend, 1).ok());
}

TEST_F(LimitsTest, AnAppendThatHasNoPlaceInFlightTakesNoToken) {
  Set(R"({"default": {"appends_per_second": 1, "in_flight": 1}})");
  auto busy = limits_.Admit("a", Charge::kNothing, 1);
  ASSERT_TRUE(busy.ok());
  EXPECT_EQ(
      base::DetailOf(limits_.Admit("a", Charge::kAppend, 1).status()).reason,
      "QUOTA_IN_FLIGHT");
  busy->reset();
  EXPECT_TRUE(limits_.Admit("a", Charge::kAppend, 1).ok());
}

TEST_F(LimitsTest, AFullNamespaceTakesNeitherAppendsNorSessions) {
  Set(R"({"default": {"bytes": 1000}})");
  bytes_ = 999;
  EXPECT_TRUE(limits_.CheckRoom("a", Charge::kAppend).ok());
  limits_.Appended("a", 1);
  for (const Charge charge : {Charge::kAppend, Charge::kSession}) {
    const absl::Status full = limits_.CheckRoom("a", charge).status();
    EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(base::DetailOf(full).reason, "QUOTA_BYTES");
    EXPECT_EQ(base::DetailOf(full).quota, "namespaces/a");
    // Waiting alone frees nothing.
    EXPECT_FALSE(base::DetailOf(full).retry_after);
  }
  // Who wants to forget, may.
  EXPECT_TRUE(limits_.CheckRoom("a", Charge::kNothing).ok());
}

TEST_F(LimitsTest, StoredBytesAreCountedNowAndThenAndSoonerWhenFull) {
  Set(R"({"default": {"bytes": 1000}})");
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(limits_.CheckRoom("a", Charge::kAppend).ok());
  }
  EXPECT_EQ(counted_, 1);
  bytes_ = 2000;
  clock_.Pass(seconds(9));
  EXPECT_TRUE(limits_.CheckRoom("a", Charge::kAppend).ok());
  clock_.Pass(seconds(1));
  EXPECT_FALSE(limits_.CheckRoom("a", Charge::kAppend).ok());
  EXPECT_EQ(counted_, 2);
  // Something was deleted.
  bytes_ = 10;
  EXPECT_FALSE(limits_.CheckRoom("a", Charge::kAppend).ok());
  clock_.Pass(seconds(1));
  EXPECT_TRUE(limits_.CheckRoom("a", Charge::kAppend).ok());
  EXPECT_EQ(counted_, 3);
}

TEST_F(LimitsTest, WhatAnImportHasWrittenIsNotForgottenByTheNextCount) {
  Set(R"({"default": {"bytes": 1000}})");
  bytes_ = 100;
  auto import = std::make_unique<Limits::Import>(&limits_, "a");
  for (const uint64_t written : {400, 899}) {
    import->Wrote(written);
    EXPECT_TRUE(limits_.CheckRoom("a", Charge::kBytes).ok());
    clock_.Pass(seconds(10));
    EXPECT_TRUE(limits_.CheckRoom("a", Charge::kBytes).ok());
  }
  import->Wrote(900);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(
        base::DetailOf(limits_.CheckRoom("a", Charge::kBytes).status()).reason,
        "QUOTA_BYTES");
    clock_.Pass(seconds(10));
  }
  EXPECT_TRUE(limits_.CheckRoom("b", Charge::kBytes).ok());
  // Cancelled: it left nothing.
  import.reset();
  EXPECT_TRUE(limits_.CheckRoom("a", Charge::kBytes).ok());
}

TEST_F(LimitsTest, AnImportThatEndedIsCountedOnce) {
  Set(R"({"default": {"bytes": 1000}})");
  EXPECT_TRUE(limits_.CheckRoom("a", Charge::kBytes).ok());
  {
    Limits::Import import(&limits_, "a");
    import.Wrote(600);
    import.Ended();
  }
  limits_.Appended("a", 399);
  EXPECT_TRUE(limits_.CheckRoom("a", Charge::kBytes).ok());
  limits_.Appended("a", 1);
  EXPECT_FALSE(limits_.CheckRoom("a", Charge::kBytes).ok());
  bytes_ = 999;  // It is among what is counted.
  clock_.Pass(seconds(10));
  EXPECT_TRUE(limits_.CheckRoom("a", Charge::kBytes).ok());
}

TEST_F(LimitsTest, TwoCreationsNeverTakeTheLastPlaceBoth) {
  constexpr int kCreators = 8;
  constexpr uint64_t kLimit = 5;
  Set(R"({"default": {"sessions": 5}})");
  std::atomic<int> refused = 0;
  {
    std::vector<std::jthread> creators;
    for (int i = 0; i < kCreators; ++i) {
      creators.emplace_back([&] {
        auto creation = limits_.CheckRoom("a", Charge::kSession);
        while (!creation.ok() &&
               base::DetailOf(creation.status()).retry_after) {
          creation = limits_.CheckRoom("a", Charge::kSession);
        }
        if (!creation.ok()) {
          EXPECT_EQ(base::DetailOf(creation.status()).reason, "QUOTA_SESSIONS");
          ++refused;
          return;
        }
        std::this_thread::yield();
        ++sessions_;
      });
    }
  }
  EXPECT_EQ(sessions_, kLimit);
  EXPECT_EQ(refused, kCreators - static_cast<int>(kLimit));
}

// Forks take long: nobody waits for another's, and none takes its place.
TEST_F(LimitsTest, CreationsUnderWayHoldTheirPlacesAndNoThread) {
  Set(R"({"default": {"sessions": 2}})");
  auto first = limits_.CheckRoom("a", Charge::kSession);
  auto second = limits_.CheckRoom("a", Charge::kSession);
  ASSERT_TRUE(first.ok() && second.ok());
  const absl::Status third = limits_.CheckRoom("a", Charge::kSession).status();
  EXPECT_EQ(base::DetailOf(third).reason, "QUOTA_SESSIONS");
  EXPECT_TRUE(base::DetailOf(third).retry_after);
  EXPECT_TRUE(limits_.CheckRoom("b", Charge::kSession).ok());
  // One failed.
  second->reset();
  EXPECT_TRUE(limits_.CheckRoom("a", Charge::kSession).ok());
}

TEST_F(LimitsTest, ANewTableHoldsFromNowOn) {
  Set(R"({"default": {"in_flight": 1, "appends_per_second": 1}})");
  auto first = limits_.Admit("a", Charge::kAppend, 1);
  ASSERT_TRUE(first.ok());
  Set(R"({"default": {"in_flight": 2, "appends_per_second": 3}})");
  auto second = limits_.Admit("a", Charge::kAppend, 1);
  EXPECT_TRUE(second.ok());
  EXPECT_FALSE(limits_.Admit("a", Charge::kAppend, 1).ok());
  Set("{}");
  EXPECT_TRUE(limits_.Admit("a", Charge::kAppend, 1).ok());
  first->reset();
  second->reset();
}

TEST_F(LimitsTest, TicketsOfManyThreadsAddUp) {
  constexpr int kThreads = 4;
  Set(R"({"default": {"in_flight": 3, "in_flight_bytes": 1000}})");
  std::atomic<int> now = 0;
  std::atomic<int> most = 0;
  std::atomic<int> taken = 0;
  {
    std::vector<std::jthread> callers;
    for (int t = 0; t < kThreads; ++t) {
      callers.emplace_back([&] {
        for (int i = 0; i < 2000; ++i) {
          const auto ticket = limits_.Admit("a", Charge::kNothing, 7);
          if (!ticket.ok()) continue;
          const int mine = ++now;
          int seen = most;
          while (mine > seen && !most.compare_exchange_weak(seen, mine)) {
          }
          ++taken;
          --now;
          (*ticket)->Answered(5);
        }
      });
    }
  }
  EXPECT_LE(most, 3);
  EXPECT_GT(taken, 0);
  // All was given back.
  std::vector<std::shared_ptr<Limits::Ticket>> all;
  for (int i = 0; i < 3; ++i) {
    auto ticket = limits_.Admit("a", Charge::kNothing, 333);
    ASSERT_TRUE(ticket.ok()) << i;
    all.push_back(*std::move(ticket));
  }
}

TEST_F(LimitsTest, WhatCannotBeANameIsLeftToTheParsers) {
  Set(R"({"default": {"in_flight": 0, "bytes": 0}})");
  for (const std::string& name : {std::string(), std::string(64, 'a')}) {
    EXPECT_TRUE(limits_.Admit(name, Charge::kAppend, 1).ok());
    EXPECT_TRUE(limits_.CheckRoom(name, Charge::kAppend).ok());
  }
  EXPECT_FALSE(limits_.Admit(std::string(63, 'a'), Charge::kAppend, 1).ok());
}

TEST_F(LimitsTest, NamesThatNobodyUsesAreForgotten) {
  Set(R"({"default": {"appends_per_second": 1}})");
  const auto held = limits_.Admit("held", Charge::kAppend, 1);
  for (int i = 0; i < 30'000; ++i) {
    ASSERT_TRUE(
        limits_.Admit("n" + std::to_string(i), Charge::kAppend, 1).ok());
  }
  // What is in flight is not.
  EXPECT_FALSE(limits_.Admit("held", Charge::kAppend, 1).ok());
}

}  // namespace
}  // namespace mneme::service
