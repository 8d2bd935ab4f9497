// base/error.h: errors that say what was given, what was expected, and why in
// one stable word.
// An absl::Status carries the reason and its facts as a payload; proto/status.h
// turns them into google.rpc details on the wire and back.

#ifndef MNEME_BASE_ERROR_H_
#define MNEME_BASE_ERROR_H_

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace mneme::base {

// What a machine may act on; the message of the status is for people.
struct ErrorDetail {
  std::string reason = {};  // Stable, UPPER_SNAKE_CASE, e.g. "SEQ_MISMATCH".
  std::string field = {};   // Path of the offending request field, or empty.
  std::map<std::string, std::string> metadata =
      {};  // Facts, e.g. {"expected","7"}.
  std::optional<std::chrono::milliseconds> retry_after = std::nullopt;
  std::string quota = {};  // Whose quota is used up, "namespaces/a", or empty.
};

// A status with `detail` attached.
absl::Status Error(absl::StatusCode code, std::string_view message,
                   const ErrorDetail& detail);

// INVALID_ARGUMENT with reason INVALID_FIELD: "FIELD: got GIVEN; expected
// EXPECTED".
absl::Status InvalidField(std::string_view field, std::string_view given,
                          std::string_view expected);

// `given` in quotes, as a message shows it: unprintable bytes escaped, and no
// more than its first 100 bytes, since it may be hostile.
std::string Quoted(std::string_view given);

// The detail that Error attached; empty reason when there is none.
ErrorDetail DetailOf(const absl::Status& status);

// `status` with `prefix` before its message; code and detail stay.
absl::Status Annotate(const absl::Status& status, std::string_view prefix);

// `status` with `facts` added to its detail; what the detail says already
// stays.
absl::Status WithFacts(const absl::Status& status,
                       const std::map<std::string, std::string>& facts);

}  // namespace mneme::base

#endif  // MNEME_BASE_ERROR_H_
