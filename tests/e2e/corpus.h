// tests/e2e/corpus.h: documents to remember and questions about them.

#ifndef MNEME_TESTS_E2E_CORPUS_H_
#define MNEME_TESTS_E2E_CORPUS_H_

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "mneme/v1/memory_service.pb.h"

namespace mneme::e2e {

struct Corpus {
  // One a part of a document, in order, as client::AppendDocument would send
  // it: with source, source_offset and a request id of its words. Also with
  // metadata "part", its index here, and a time, so that two runs are equal.
  std::vector<v1::AppendRequest> parts;
  std::vector<std::string> questions;
};

// Documents of invented words, `documents` of them, about `bytes` each.
Corpus Generate(std::mt19937_64& random, const std::string& session,
                size_t documents, size_t bytes, size_t questions);

// An evaluation set's corpus.jsonl and its first `questions` queries, all in
// one session.
absl::StatusOr<Corpus> Load(const std::string& directory,
                            const std::string& session, size_t questions);

}  // namespace mneme::e2e

#endif  // MNEME_TESTS_E2E_CORPUS_H_
