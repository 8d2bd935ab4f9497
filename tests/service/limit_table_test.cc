#include "service/limit_table.h"

#include <string>

#include "base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mneme::service {
namespace {

using ::testing::HasSubstr;

TEST(LimitTable, ANamespaceReplacesWhatItNamesOfTheDefault) {
  const auto table = ParseLimitTable(R"({
    "default": {"bytes": 1000, "sessions": 3, "appends_per_second": 2.5,
                "appends_burst": 10, "in_flight": 4, "in_flight_bytes": 99},
    "namespaces": {"notes": {"sessions": 7, "bytes": null}, "empty": {}}})");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->Of("other"), table->defaults);
  EXPECT_EQ(table->Of("empty"), table->defaults);
  EXPECT_EQ(table->defaults.appends_per_second, 2.5);
  EXPECT_EQ(table->defaults.appends_burst, 10);
  EXPECT_EQ(table->defaults.in_flight_bytes, 99);
  const NamespaceLimits& notes = table->Of("notes");
  EXPECT_EQ(notes.sessions, 7);
  EXPECT_EQ(notes.bytes, std::nullopt);
  EXPECT_EQ(notes.in_flight, 4);
}

TEST(LimitTable, AnEmptyObjectLimitsNothing) {
  const auto table = ParseLimitTable("{}");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->Of("notes"), NamespaceLimits());
}

TEST(LimitTable, WhatIsWrongIsNamed) {
  const struct {
    std::string json;
    std::string field;
    std::string says;
  } cases[] = {
      {"", "limits", "JSON object"},
      {"[]", "limits", "JSON object"},
      {"{", "limits", "JSON object"},
      {R"({"defaults": {}})", "limits", "\"defaults\""},
      {R"({"default": {"byte": 1}})", "default", "\"byte\""},
      {R"({"default": {"bytes": -1}})", "default.bytes", "-1"},
      {R"({"default": {"bytes": 1.5}})", "default.bytes", "1.5"},
      {R"({"default": {"bytes": "1"}})", "default.bytes", "null"},
      {R"({"default": {"bytes": 99999999999999999999}})", "default.bytes", ""},
      {R"({"default": {"appends_per_second": 0}})",
       "default.appends_per_second", "above 0"},
      {R"({"default": {"appends_per_second": 1e300}})",
       "default.appends_per_second", "1e+300"},
      {R"({"default": {"appends_burst": 0}})", "default.appends_burst",
       "1 or more"},
      {R"({"default": 7})", "default", "an object"},
      {R"({"namespaces": []})", "namespaces", "an object"},
      {R"({"namespaces": {"No Name": {}}})", "namespaces", "No Name"},
      {R"({"namespaces": {"a": {"x": 1}}})", "namespaces.a", "\"x\""},
      {R"({"namespaces": {"a": {}, "a": {"bytes": 1}}})", "limits", "twice"},
      {R"({"default": {"bytes": 1, "": 1, "": 2}})", "limits", "twice"},
      {R"({"default": {}} trailing)", "limits", "JSON object"},
  };
  for (const auto& [json, field, says] : cases) {
    const absl::Status status = ParseLimitTable(json).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << json;
    EXPECT_EQ(base::DetailOf(status).field, field) << json << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(says)) << json;
  }
}

TEST(LimitTable, DepthIsBounded) {
  const std::string deep(100'000, '[');
  EXPECT_FALSE(ParseLimitTable(deep).ok());
  EXPECT_FALSE(ParseLimitTable("{\"default\":" + deep).ok());
  EXPECT_FALSE(
      ParseLimitTable("{\"default\":" + deep + std::string(100'000, ']') + "}")
          .ok());
}

}  // namespace
}  // namespace mneme::service
