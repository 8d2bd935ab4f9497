#include "service/observed_store.h"

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/faulty_store.h"
#include "tests/testing/map_store.h"

namespace mneme::service {
namespace {

using ::testing::HasSubstr;

class ObservedStoreTest : public ::testing::Test {
 protected:
  ObservedStoreTest()
      : store_(std::make_unique<testing::FaultyStore>(
                   std::make_shared<testing::MapDisk>(), faults_),
               &metrics_, &clock_) {}

  void Expect(const std::string& line) {
    EXPECT_THAT(metrics_.Text({}), HasSubstr(line + "\n"));
  }

  base::RealClock clock_;
  Metrics metrics_{"test", "test"};
  std::shared_ptr<testing::Faults> faults_ =
      std::make_shared<testing::Faults>();
  ObservedStore store_;
};

TEST_F(ObservedStoreTest, AnswersAsTheStoreInsideAndCountsEachCall) {
  memory::WriteBatch batch;
  batch.Put("a", "123");
  batch.Put("b", "4567");
  ASSERT_TRUE(store_.Write(batch, /*sync=*/true).ok());
  memory::WriteBatch more;
  more.Delete("c");
  ASSERT_TRUE(store_.Write(more, /*sync=*/false).ok());
  EXPECT_EQ(store_.Read("a").value(), "123");
  EXPECT_TRUE(absl::IsNotFound(store_.Read("x").status()));
  int seen = 0;
  ASSERT_TRUE(store_
                  .Scan("a", "z",
                        [&seen](std::string_view, std::string_view) {
                          ++seen;
                          return true;
                        })
                  .ok());
  EXPECT_EQ(seen, 2);
  ASSERT_TRUE(store_.Compact("a", "z").ok());
  EXPECT_GT(store_.ApproximateBytes(), 0);
  Expect("mneme_store_write_seconds_count{synced=\"true\"} 1");
  Expect("mneme_store_write_seconds_count{synced=\"false\"} 1");
  Expect("mneme_store_write_bytes_total 10");
  Expect("mneme_store_call_seconds_count{call=\"read\"} 2");
  Expect("mneme_store_call_seconds_count{call=\"scan\"} 1");
  Expect("mneme_store_call_seconds_count{call=\"compact\"} 1");
  Expect("mneme_store_scanned_records_total 2");
  Expect("mneme_store_scanned_bytes_total 9");
  // What is not there is no failure.
  Expect("mneme_store_failures_total{call=\"read\",code=\"DATA_LOSS\"} 0");
  EXPECT_THAT(metrics_.Text({}), ::testing::Not(HasSubstr("NOT_FOUND")));
}

TEST_F(ObservedStoreTest, AFailedWriteIsCounted) {
  {
    base::MutexLock lock(&faults_->mutex);
    faults_->fail_at = 0;
  }
  memory::WriteBatch batch;
  batch.Put("a", "1");
  EXPECT_TRUE(absl::IsUnavailable(store_.Write(batch, /*sync=*/true)));
  Expect("mneme_store_failures_total{call=\"write\",code=\"UNAVAILABLE\"} 1");
  Expect("mneme_store_write_bytes_total 0");
}

}  // namespace
}  // namespace mneme::service
