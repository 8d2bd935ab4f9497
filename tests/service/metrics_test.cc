#include "service/metrics.h"

#include <string>

#include "base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mneme::service {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class MetricsTest : public ::testing::Test {
 protected:
  Metrics metrics_{"1.2.3", "AVX2"};
};

TEST_F(MetricsTest, CountRequestsByMethodAndCode) {
  metrics_.Began();
  metrics_.Ended("Recall", absl::OkStatus(), 0.002);
  metrics_.Began();
  metrics_.Ended("Recall", absl::OkStatus(), 20);
  metrics_.Began();
  metrics_.Ended("Append", absl::NotFoundError("x"), 0.1);
  const std::string text = metrics_.Text({});
  EXPECT_THAT(text, HasSubstr("mneme_requests_total{code=\"OK\","
                              "method=\"Recall\"} 2"));
  EXPECT_THAT(text, HasSubstr("mneme_requests_total{code=\"NOT_FOUND\","
                              "method=\"Append\"} 1"));
  EXPECT_THAT(text, HasSubstr("mneme_request_seconds_bucket{method=\"Recall\","
                              "le=\"0.0025\"} 1"));
  EXPECT_THAT(text, HasSubstr("mneme_request_seconds_count{method=\"Recall\"}"
                              " 2"));
}

TEST_F(MetricsTest, CountErrorsByReason) {
  metrics_.Began();
  metrics_.Ended("Append",
                 base::Error(absl::StatusCode::kResourceExhausted, "full",
                             {.reason = "QUOTA_BYTES"}),
                 0.1);
  metrics_.Began();
  metrics_.Ended("Append", absl::InternalError("x"), 0.1);
  const std::string text = metrics_.Text({});
  EXPECT_THAT(text, HasSubstr("mneme_errors_total{code=\"RESOURCE_EXHAUSTED\","
                              "reason=\"QUOTA_BYTES\"} 1"));
  EXPECT_THAT(text, HasSubstr("mneme_errors_total{code=\"INTERNAL\","
                              "reason=\"INTERNAL\"} 1"));
  EXPECT_THAT(text, Not(HasSubstr("reason=\"OK\"")));
}

TEST_F(MetricsTest, InFlightIsWhatBeganAndHasNotEnded) {
  metrics_.Began();
  metrics_.Began();
  metrics_.Ended("Stats", absl::OkStatus(), 1);
  EXPECT_THAT(metrics_.Text({}), HasSubstr("mneme_in_flight 1\n"));
}

TEST_F(MetricsTest, LevelsAreThoseOfTheMoment) {
  const std::string text = metrics_.Text({.queued = {.reads = 3, .writes = 4},
                                          .queue_capacity = 9,
                                          .sessions = 7,
                                          .open_sessions = 2,
                                          .attend_streams = 5,
                                          .transfer_streams = 3,
                                          .pending_operations = 6,
                                          .disk_bytes = 11,
                                          .disk_free_bytes = 12,
                                          .disk_size_bytes = 13});
  for (const char* line :
       {"mneme_queue_depth{priority=\"read\"} 3\n",
        "mneme_queue_depth{priority=\"write\"} 4\n", "mneme_queue_capacity 9\n",
        "mneme_sessions 7\n", "mneme_open_sessions 2\n",
        "mneme_streams{kind=\"attend\"} 5\n",
        "mneme_streams{kind=\"transfer\"} 3\n", "mneme_pending_operations 6\n",
        "mneme_disk_bytes 11\n", "mneme_disk_free_bytes 12\n",
        "mneme_disk_size_bytes 13\n", "mneme_resident_bytes ",
        "mneme_build_info{kernels=\"AVX2\",version=\"1.2.3\"} 1\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  EXPECT_THAT(text, Not(HasSubstr("mneme_resident_bytes 0\n")));
}

TEST_F(MetricsTest, WorkIsCountedByTier) {
  metrics_.Appended(41, 4100);
  metrics_.Attended({0.25, 0.5, 0.125, 0.125});
  metrics_.Attended({0, 1, 0, 0});
  metrics_.Waited(Executor::Priority::kRead, 0.003);
  metrics_.MalformedTrace();
  const std::string text = metrics_.Text({});
  for (const char* line :
       {"mneme_appends_total 1\n", "mneme_tokens_appended_total 41\n",
        "mneme_bytes_appended_total 4100\n", "mneme_attention_reads_total 2\n",
        "mneme_attention_share_total{tier=\"sink\"} 0.25\n",
        "mneme_attention_share_total{tier=\"window\"} 1.5\n",
        "mneme_attention_share_total{tier=\"knn\"} 0.125\n",
        "mneme_attention_share_total{tier=\"compressive\"} 0.125\n",
        "mneme_queue_wait_seconds_count{priority=\"read\"} 1\n",
        "mneme_queue_wait_seconds_count{priority=\"write\"} 0\n",
        "mneme_malformed_trace_total 1\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST_F(MetricsTest, WhatMustPageSomebodyStartsAtZero) {
  EXPECT_THAT(metrics_.Text({}),
              HasSubstr("mneme_store_failures_total{call=\"write\","
                        "code=\"UNAVAILABLE\"} 0\n"));
}

}  // namespace
}  // namespace mneme::service
