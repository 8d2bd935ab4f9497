#include "service/limit_table.h"

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "base/strict_json.h"
#include "memory/session_name.h"

namespace mneme::service {
namespace {

using nlohmann::json;

// Far above what a server can do, far below where arithmetic ends.
constexpr double kPerSecondMax = 1e9;
constexpr uint64_t kCountMax = uint64_t{1} << 60;
// The deepest key is namespaces/NAME/LIMIT.
constexpr int kDepthMax = 8;

std::string Shown(const json& value) {
  return base::Quoted(
      value.dump(-1, ' ', false, json::error_handler_t::replace));
}

absl::Status SetCount(const std::string& path, const json& value,
                      std::optional<uint64_t>& count) {
  if (value.is_number_unsigned() && value.get<uint64_t>() <= kCountMax) {
    count = value.get<uint64_t>();
    return absl::OkStatus();
  }
  return base::InvalidField(path, Shown(value),
                            absl::StrCat("0 to ", kCountMax, ", or null"));
}

absl::Status SetRate(const std::string& path, const json& value,
                     std::optional<double>& rate) {
  const double given = value.is_number() ? value.get<double>() : 0;
  if (given > 0 && given <= kPerSecondMax) {
    rate = given;
    return absl::OkStatus();
  }
  return base::InvalidField(
      path, Shown(value),
      absl::StrCat("a number above 0 up to ", kPerSecondMax, ", or null"));
}

// Replaces what `object` names in `limits`.
absl::Status SetLimits(const std::string& path, const json& object,
                       NamespaceLimits& limits) {
  if (!object.is_object()) {
    return base::InvalidField(path, Shown(object), "an object of limits");
  }
  const std::map<std::string, std::optional<uint64_t>*, std::less<>> counts = {
      {"bytes", &limits.bytes},
      {"sessions", &limits.sessions},
      {"appends_burst", &limits.appends_burst},
      {"in_flight", &limits.in_flight},
      {"in_flight_bytes", &limits.in_flight_bytes}};
  for (const auto& [key, value] : object.items()) {
    const std::string at = absl::StrCat(path, ".", key);
    const auto count = counts.find(key);
    if (count != counts.end()) {
      count->second->reset();
      if (!value.is_null()) {
        RETURN_IF_ERROR(SetCount(at, value, *count->second));
      }
    } else if (key == "appends_per_second") {
      limits.appends_per_second.reset();
      if (!value.is_null()) {
        RETURN_IF_ERROR(SetRate(at, value, limits.appends_per_second));
      }
    } else {
      return base::InvalidField(
          path, base::Quoted(key),
          "bytes, sessions, appends_per_second, appends_burst, in_flight, "
          "in_flight_bytes");
    }
  }
  if (limits.appends_burst == 0) {
    return base::InvalidField(absl::StrCat(path, ".appends_burst"), "0",
                              "1 or more");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LimitTable> ParseLimitTable(std::string_view text) {
  const auto parsed = base::ParseStrictJson(text, kDepthMax);
  if (!parsed.ok()) {
    return base::InvalidField(
        "limits",
        absl::StrCat("what is refused (",
                     std::string(parsed.status().message()), ")"),
        R"(a JSON object, e.g. {"default": {"sessions": 1000}})");
  }
  const json& root = *parsed;
  for (const auto& [key, value] : root.items()) {
    if (key != "default" && key != "namespaces") {
      return base::InvalidField("limits", base::Quoted(key),
                                "default or namespaces");
    }
  }
  LimitTable table;
  if (root.contains("default")) {
    RETURN_IF_ERROR(SetLimits("default", root["default"], table.defaults));
  }
  if (!root.contains("namespaces")) return table;
  const json& namespaces = root["namespaces"];
  if (!namespaces.is_object()) {
    return base::InvalidField("namespaces", Shown(namespaces),
                              "an object of limits by namespace");
  }
  for (const auto& [space, limits] : namespaces.items()) {
    const std::string name = absl::StrCat("namespaces/", space);
    if (!memory::ParseNamespace(name).ok()) {
      return base::InvalidField("namespaces", base::Quoted(space),
                                "the name of a namespace");
    }
    // What it does not name is the default's.
    NamespaceLimits own = table.defaults;
    RETURN_IF_ERROR(SetLimits(absl::StrCat("namespaces.", space), limits, own));
    table.namespaces.emplace(space, own);
  }
  return table;
}

}  // namespace mneme::service
