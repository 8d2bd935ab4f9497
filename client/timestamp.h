// client/timestamp.h: a point in time as people write it.

#ifndef MNEME_CLIENT_TIMESTAMP_H_
#define MNEME_CLIENT_TIMESTAMP_H_

#include <string>

#include "absl/status/statusor.h"

namespace google::protobuf {
class Timestamp;
}  // namespace google::protobuf

namespace mneme::client {

// ISO 8601: a date, or a date and a time ("T" or a space between, seconds and
// their fraction optional) with a zone or without (then UTC).
// Errors: INVALID_ARGUMENT for anything else and outside years 1 to 9999, which
//         is what the wire can carry.
absl::StatusOr<google::protobuf::Timestamp> ParseTimestamp(
    const std::string& text);

// "2024-05-01 12:00:00 UTC".
std::string FormatTimestamp(const google::protobuf::Timestamp& time);

// RFC 3339 in UTC with every digit that `time` has; ParseTimestamp gives `time`
// back. REQUIRES: a year from 1 to 9999; else ParseTimestamp refuses it.
std::string ExactTimestamp(const google::protobuf::Timestamp& time);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_TIMESTAMP_H_
