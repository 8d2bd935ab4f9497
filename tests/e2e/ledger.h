// tests/e2e/ledger.h: what a client knows that is told nothing but the
// acknowledgements, held against what a server says.

#ifndef MNEME_TESTS_E2E_LEDGER_H_
#define MNEME_TESTS_E2E_LEDGER_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "client/client.h"
#include "tests/e2e/corpus.h"

namespace mneme::e2e {

// Lifetime: `corpus` outlives it.
class Ledger {
 public:
  Ledger(std::string session, const Corpus& corpus)
      : session_(std::move(session)), corpus_(corpus) {}

  size_t acknowledged() const { return acknowledged_.size(); }
  bool complete() const { return acknowledged() == corpus_.parts.size(); }
  // REQUIRES: not complete.
  const v1::AppendRequest& next() const {
    return corpus_.parts[acknowledged()];
  }

  // The next part was acknowledged.
  // Errors:   DATA_LOSS unless it follows the one before.
  absl::Status Note(const v1::AppendResponse& response);

  // Every acknowledged part is there, once and whole; the one append that was
  // under way is there, or not at all; verify finds nothing.
  // Errors:   DATA_LOSS that says what is wrong.
  absl::Status Check(client::Client& client) const;

 private:
  absl::Status CheckCounts(const v1::Session& session) const;
  absl::Status CheckPart(client::Client& client, size_t part) const;

  const std::string session_;
  const Corpus& corpus_;
  std::vector<v1::AppendResponse> acknowledged_;
};

}  // namespace mneme::e2e

#endif  // MNEME_TESTS_E2E_LEDGER_H_
