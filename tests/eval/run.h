// tests/eval/run.h: what was recalled for a query, as a line of a run file.

#ifndef MNEME_TESTS_EVAL_RUN_H_
#define MNEME_TESTS_EVAL_RUN_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "mneme/v1/memory_service.pb.h"
#include "tests/eval/characters.h"
#include "tests/eval/set.h"

namespace mneme::eval {

// {"query": id, "hits": [{"id", "score"[, "start", "end"]}, ...]}, best first.
// Where answers are records, a record stands once, at its best rank; where they
// are spans, every passage stands with its place in characters of its record.
// `places` has the text of every record by id.
// Errors: INTERNAL for a passage of no record of the set.
absl::StatusOr<std::string> RunLine(
    const Query& query, const v1::RecallResponse& response, bool spans,
    const std::map<std::string, Characters>& places);

}  // namespace mneme::eval

#endif  // MNEME_TESTS_EVAL_RUN_H_
