#include "client/entry_line.h"

#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "base/strict_json.h"
#include "base/utf8.h"
#include "client/timestamp.h"

namespace mneme::client {
namespace {

using Json = nlohmann::json;

// The entry and its metadata.
constexpr int kDepthMax = 2;
// A value in a message: enough to see what it is.
constexpr size_t kShownBytes = 40;

// Takes the keys out of an object, so that what is left was not expected.
class Fields {
 public:
  explicit Fields(Json object) : object_(std::move(object)) {}

  absl::StatusOr<std::string> Text(const std::string& key, bool required) {
    ASSIGN_OR_RETURN(const Json value, Take(key, required, "\"\""));
    if (!value.is_string()) return Wrong(key, value, "a string");
    return value.get<std::string>();
  }
  absl::StatusOr<uint64_t> Number(const std::string& key, uint64_t most,
                                  bool required) {
    ASSIGN_OR_RETURN(const Json value, Take(key, required, "0"));
    if (!value.is_number_unsigned() || value.get<uint64_t>() > most) {
      return Wrong(key, value, absl::StrCat("a number from 0 to ", most));
    }
    return value.get<uint64_t>();
  }
  absl::StatusOr<std::map<std::string, std::string>> Map(
      const std::string& key) {
    ASSIGN_OR_RETURN(const Json value, Take(key, false, "{}"));
    if (!value.is_object()) return Wrong(key, value, "an object of strings");
    std::map<std::string, std::string> map;
    for (const auto& [name, fact] : value.items()) {
      if (!fact.is_string()) return Wrong(key, fact, "strings");
      map[name] = fact.get<std::string>();
    }
    return map;
  }
  absl::Status CheckNothingIsLeft() const {
    if (object_.empty()) return absl::OkStatus();
    return base::InvalidField(base::Quoted(object_.begin().key()),
                              "an unknown key", "those of doc/export.md");
  }

 private:
  absl::StatusOr<Json> Take(const std::string& key, bool required,
                            const char* fallback) {
    const auto found = object_.find(key);
    if (found == object_.end()) {
      if (required) return base::InvalidField(key, "nothing", "a value");
      return Json::parse(fallback);
    }
    Json value = std::move(*found);
    object_.erase(found);
    return value;
  }
  static absl::Status Wrong(const std::string& key, const Json& value,
                            std::string_view expected) {
    const std::string shown =
        value.dump(-1, ' ', true, Json::error_handler_t::replace);
    return base::InvalidField(key, shown.substr(0, kShownBytes), expected);
  }

  Json object_;
};

bool IsUtf8(const v1::ExportedEntry& entry) {
  for (const auto& [key, value] : entry.metadata()) {
    if (base::FirstInvalidUtf8(key) || base::FirstInvalidUtf8(value)) {
      return false;
    }
  }
  return !base::FirstInvalidUtf8(entry.text()) &&
         !base::FirstInvalidUtf8(entry.role()) &&
         !base::FirstInvalidUtf8(entry.source());
}

}  // namespace

absl::StatusOr<std::string> EntryToLine(const v1::ExportedEntry& entry) {
  if (!IsUtf8(entry)) {
    return base::Error(absl::StatusCode::kDataLoss,
                       absl::StrCat("the server gave entry ", entry.entry(),
                                    " with words that are not UTF-8"),
                       {.reason = "BAD_ENTRY"});
  }
  // Sorted, so that equal entries are equal lines.
  const std::map<std::string, std::string> metadata(entry.metadata().begin(),
                                                    entry.metadata().end());
  const nlohmann::ordered_json line = {
      {"entry", entry.entry()},        {"text", entry.text()},
      {"role", entry.role()},          {"time", ExactTimestamp(entry.time())},
      {"source", entry.source()},      {"source_offset", entry.source_offset()},
      {"metadata", metadata},          {"seq_first", entry.seq_first()},
      {"seq_count", entry.seq_count()}};
  return line.dump();
}

absl::StatusOr<v1::ExportedEntry> EntryFromLine(std::string_view line) {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  ASSIGN_OR_RETURN(Json json, base::ParseStrictJson(line, kDepthMax));
  Fields fields(std::move(json));
  v1::ExportedEntry entry;
  ASSIGN_OR_RETURN(const uint64_t number, fields.Number("entry", kMost, true));
  entry.set_entry(number);
  ASSIGN_OR_RETURN(*entry.mutable_text(), fields.Text("text", true));
  ASSIGN_OR_RETURN(*entry.mutable_role(), fields.Text("role", false));
  ASSIGN_OR_RETURN(const std::string time, fields.Text("time", true));
  ASSIGN_OR_RETURN(*entry.mutable_time(), ParseTimestamp(time));
  ASSIGN_OR_RETURN(*entry.mutable_source(), fields.Text("source", false));
  ASSIGN_OR_RETURN(const uint64_t offset,
                   fields.Number("source_offset", kMost, false));
  entry.set_source_offset(offset);
  ASSIGN_OR_RETURN(const auto metadata, fields.Map("metadata"));
  entry.mutable_metadata()->insert(metadata.begin(), metadata.end());
  ASSIGN_OR_RETURN(const uint64_t first,
                   fields.Number("seq_first", kMost, true));
  entry.set_seq_first(first);
  ASSIGN_OR_RETURN(
      const uint64_t count,
      fields.Number("seq_count", std::numeric_limits<uint32_t>::max(), true));
  entry.set_seq_count(static_cast<uint32_t>(count));
  RETURN_IF_ERROR(fields.CheckNothingIsLeft());
  return entry;
}

}  // namespace mneme::client
