#include "base/strict_json.h"

#include <nlohmann/json.hpp>
#include <string>

#include "gtest/gtest.h"

namespace mneme::base {
namespace {

std::string WrongWith(const std::string& json, int depth_max = 2) {
  return std::string(ParseStrictJson(json, depth_max).status().message());
}

TEST(StrictJson, TakesAnObjectOfAllowedDepth) {
  EXPECT_EQ(ParseStrictJson(R"({"a":{"b":1}})", 2).value()["a"]["b"], 1);
  EXPECT_EQ(WrongWith(R"({"a":{"b":[1]}})"), "it is nested too deeply");
  EXPECT_EQ(WrongWith(std::string(100'000, '[')), "it is nested too deeply");
}

TEST(StrictJson, RefusesWhatReadersDisagreeAbout) {
  EXPECT_EQ(WrongWith(R"({"a":1,"a":2})"), "\"a\" stands in it twice");
  EXPECT_EQ(WrongWith(R"({"x":{"a":1,"b":{},"a":2}})", 3),
            "\"a\" stands in it twice");
  EXPECT_EQ(WrongWith(R"({"x":{"a":1},"y":{"a":2}})"), "");
}

TEST(StrictJson, OfManyKeysTakesNoLongerForEach) {
  std::string json = "{";
  for (int i = 0; i < 200'000; ++i) {
    json += "\"tensor " + std::to_string(i) + "\":{},";
  }
  json.back() = '}';
  EXPECT_EQ(ParseStrictJson(json, 2).value().size(), 200'000u);
}

TEST(StrictJson, RefusesWhatIsNoObject) {
  for (const char* json :
       {"", "7", "[]", "{", "{} x", "{\"\xFF\":1}", "null"}) {
    EXPECT_EQ(WrongWith(json), "it is not a JSON object") << json;
  }
}

}  // namespace
}  // namespace mneme::base
