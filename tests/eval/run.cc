#include "tests/eval/run.h"

#include <nlohmann/json.hpp>
#include <set>

namespace mneme::eval {

absl::StatusOr<std::string> RunLine(
    const Query& query, const v1::RecallResponse& response, bool spans,
    const std::map<std::string, Characters>& places) {
  nlohmann::ordered_json line;
  line["query"] = query.id;
  line["hits"] = nlohmann::ordered_json::array();
  std::set<std::string> seen;
  for (const v1::Passage& passage : response.passages()) {
    const auto place = places.find(passage.source());
    if (place == places.end()) {
      return absl::InternalError("recalled a passage of \"" + passage.source() +
                                 "\", no record of the set");
    }
    if (!spans && !seen.insert(passage.source()).second) continue;
    nlohmann::ordered_json hit;
    hit["id"] = passage.source();
    hit["score"] = passage.score();
    if (spans) {
      hit["start"] = place->second.Before(passage.source_span().begin());
      hit["end"] = place->second.Before(passage.source_span().end());
    }
    line["hits"].push_back(std::move(hit));
  }
  return line.dump();
}

}  // namespace mneme::eval
