// tests/eval/set.h: an evaluation set: records to remember and questions with
// known places of their answers (corpus.jsonl and queries.jsonl).

#ifndef MNEME_TESTS_EVAL_SET_H_
#define MNEME_TESTS_EVAL_SET_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace mneme::eval {

struct Record {
  std::string id;
  std::string session;  // One memory; its records are in order.
  std::string text;
  std::string time;     // ISO 8601, or empty.
  std::string speaker;  // Or empty.
  std::map<std::string, std::string> meta;
};

struct Query {
  std::string id;
  std::string session;
  std::string text;
};

struct EvalSet {
  std::string name;
  std::vector<Record> corpus;
  std::vector<Query> queries;
  // Answers are spans of records, not whole records: hits have a place.
  bool spans = false;
};

// Errors: NOT_FOUND for a missing file; INVALID_ARGUMENT that names file, line
// and field; a query of a session or a record id that the corpus lacks or has
// twice.
absl::StatusOr<EvalSet> LoadSet(const std::string& directory);

// The session of the server that holds `session` of the set `set`: readable,
// valid as a name, different for different sets and sessions.
std::string ServerSession(std::string_view set, std::string_view session);

}  // namespace mneme::eval

#endif  // MNEME_TESTS_EVAL_SET_H_
