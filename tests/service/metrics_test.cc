#include "service/metrics.h"

#include "base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mneme::service {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Metrics::Levels SomeLevels() {
  return {.queue_depth = 3, .sessions = 7, .open_sessions = 2};
}

TEST(Metrics, CountRequestsByMethodAndCode) {
  Metrics metrics(SomeLevels);
  metrics.Began();
  metrics.Ended("Recall", absl::StatusCode::kOk, 0.002);
  metrics.Began();
  metrics.Ended("Recall", absl::StatusCode::kOk, 20);
  metrics.Began();
  metrics.Ended("Append", absl::StatusCode::kNotFound, 0.1);
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("mneme_requests_total{code=\"OK\","
                              "method=\"Recall\"} 2"));
  EXPECT_THAT(text, HasSubstr("mneme_requests_total{code=\"NOT_FOUND\","
                              "method=\"Append\"} 1"));
  EXPECT_THAT(text, HasSubstr("mneme_request_seconds_bucket{method=\"Recall\","
                              "le=\"0.0025\"} 1"));
  EXPECT_THAT(text, HasSubstr("mneme_request_seconds_count{method=\"Recall\"}"
                              " 2"));
}

TEST(Metrics, InFlightIsWhatBeganAndHasNotEnded) {
  Metrics metrics(SomeLevels);
  metrics.Began();
  metrics.Began();
  metrics.Ended("Stats", absl::StatusCode::kOk, 1);
  EXPECT_THAT(metrics.Text(), HasSubstr("mneme_in_flight 1\n"));
}

TEST(Metrics, LevelsAreReadWhenSomebodyLooks) {
  Metrics metrics(SomeLevels);
  metrics.Appended(41);
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("mneme_queue_depth 3\n"));
  EXPECT_THAT(text, HasSubstr("mneme_sessions 7\n"));
  EXPECT_THAT(text, HasSubstr("mneme_open_sessions 2\n"));
  EXPECT_THAT(text, HasSubstr("mneme_tokens_appended_total 41\n"));
  EXPECT_THAT(text, HasSubstr("mneme_resident_bytes "));
  EXPECT_THAT(text, Not(HasSubstr("mneme_resident_bytes 0\n")));
}

TEST(Metrics, AnAddressInUseIsRefusedByName) {
  Metrics first(SomeLevels);
  const auto port = first.Expose("127.0.0.1", 0);
  ASSERT_TRUE(port.ok()) << port.status();
  ASSERT_GT(*port, 0);
  Metrics second(SomeLevels);
  const auto refused = second.Expose("127.0.0.1", *port);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(base::DetailOf(refused.status()).reason, "ADDRESS_IN_USE");
}

}  // namespace
}  // namespace mneme::service
