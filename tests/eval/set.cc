#include "tests/eval/set.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace mneme::eval {
namespace {

using nlohmann::json;

// Assigns field `name` of `line`; absent leaves `value` as it is.
absl::Status ReadField(const json& line, const char* name, bool required,
                       std::string& value) {
  const auto found = line.find(name);
  if (found == line.end()) {
    if (!required) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("no ", name));
  }
  if (!found->is_string()) {
    return absl::InvalidArgumentError(absl::StrCat(name, " is not a string"));
  }
  value = found->get<std::string>();
  return absl::OkStatus();
}

absl::StatusOr<Record> ParseRecord(const json& line) {
  Record record;
  RETURN_IF_ERROR(ReadField(line, "id", true, record.id));
  RETURN_IF_ERROR(ReadField(line, "session", true, record.session));
  RETURN_IF_ERROR(ReadField(line, "text", true, record.text));
  RETURN_IF_ERROR(ReadField(line, "time", false, record.time));
  RETURN_IF_ERROR(ReadField(line, "speaker", false, record.speaker));
  const auto meta = line.find("meta");
  if (meta == line.end()) return record;
  if (!meta->is_object()) {
    return absl::InvalidArgumentError("meta is not an object");
  }
  for (const auto& [key, value] : meta->items()) {
    record.meta[key] =
        value.is_string() ? value.get<std::string>() : value.dump();
  }
  return record;
}

absl::StatusOr<Query> ParseQuery(const json& line, bool& spans) {
  Query query;
  RETURN_IF_ERROR(ReadField(line, "id", true, query.id));
  RETURN_IF_ERROR(ReadField(line, "session", true, query.session));
  RETURN_IF_ERROR(ReadField(line, "text", true, query.text));
  const auto relevant = line.find("relevant");
  if (relevant == line.end() || !relevant->is_array()) {
    return absl::InvalidArgumentError("relevant is not a list");
  }
  for (const json& item : *relevant) spans = spans || item.is_object();
  return query;
}

// Calls `each` with every line of a JSON Lines file; its error names the line.
absl::Status ForEachLine(const std::string& path,
                         const std::function<absl::Status(const json&)>& each) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError("cannot read " + path);
  int number = 0;
  for (std::string text; std::getline(file, text);) {
    ++number;
    if (text.empty()) continue;
    const json line = json::parse(text, nullptr, /*allow_exceptions=*/false);
    const absl::Status status =
        line.is_object() ? each(line)
                         : absl::InvalidArgumentError("not a JSON object");
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", number, ": ", std::string(status.message())));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<EvalSet> LoadSet(const std::string& directory) {
  EvalSet set;
  const std::filesystem::path path =
      std::filesystem::path(directory + "/").lexically_normal();
  set.name = path.parent_path().filename().string();
  std::set<std::string> sessions;
  std::set<std::string> ids;
  RETURN_IF_ERROR(ForEachLine(
      (path / "corpus.jsonl").string(), [&](const json& line) -> absl::Status {
        ASSIGN_OR_RETURN(Record record, ParseRecord(line));
        if (!ids.insert(record.id).second) {
          return absl::InvalidArgumentError("id again: " + record.id);
        }
        sessions.insert(record.session);
        set.corpus.push_back(std::move(record));
        return absl::OkStatus();
      }));
  RETURN_IF_ERROR(ForEachLine(
      (path / "queries.jsonl").string(), [&](const json& line) -> absl::Status {
        ASSIGN_OR_RETURN(Query query, ParseQuery(line, set.spans));
        if (!sessions.contains(query.session)) {
          return absl::InvalidArgumentError("unknown session " + query.session);
        }
        set.queries.push_back(std::move(query));
        return absl::OkStatus();
      }));
  return set;
}

std::string ServerSession(std::string_view set, std::string_view session) {
  constexpr size_t kReadable = 63 - 9;  // A name's 63 less "-" and the hash.
  const std::string full = std::string(set) + "/" + std::string(session);
  uint32_t hash = 2166136261u;  // FNV-1a, 32 bits.
  std::string readable;
  for (const char c : full) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
    const bool upper = c >= 'A' && c <= 'Z';
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '_';
    if (readable.size() == kReadable) continue;
    readable += upper ? static_cast<char>(c - 'A' + 'a') : plain ? c : '-';
  }
  // A name starts with a letter or a digit.
  const char first = readable[0];
  if (first == '-' || first == '.' || first == '_') readable[0] = 'x';
  return absl::StrCat("namespaces/eval/sessions/", readable,
                      absl::StrFormat("-%08x", hash));
}

}  // namespace mneme::eval
