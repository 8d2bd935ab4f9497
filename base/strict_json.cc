#include "base/strict_json.h"

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace mneme::base {
namespace {

using Json = nlohmann::json;

absl::Status BadJson(std::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, message,
               {.reason = "BAD_JSON"});
}

}  // namespace

absl::StatusOr<Json> ParseStrictJson(std::string_view bytes, int depth_max) {
  std::vector<std::set<std::string>> keys;
  std::string repeated;
  bool is_repeated = false;
  bool too_deep = false;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) {
      keys.resize(depth + 1);
      keys[depth].clear();
    } else if (event == Json::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys[depth - 1].insert(key).second) {
        repeated = key;
        is_repeated = true;
      }
    }
    too_deep |= depth > depth_max;
    return !too_deep;  // What is too deep is not kept in memory either.
  };
  Json json = Json::parse(bytes.begin(), bytes.end(), watch,
                          /*allow_exceptions=*/false);
  if (too_deep) return BadJson("it is nested too deeply");
  if (!json.is_object()) return BadJson("it is not a JSON object");
  if (is_repeated) {
    return BadJson(absl::StrCat(Quoted(repeated), " stands in it twice"));
  }
  return json;
}

}  // namespace mneme::base
