// client/duration.h: a length of time as people write it.

#ifndef MNEME_CLIENT_DURATION_H_
#define MNEME_CLIENT_DURATION_H_

#include <google/protobuf/duration.pb.h>

#include <string>

#include "absl/status/statusor.h"

namespace mneme::client {

// A whole number and a unit: "90s", "15m", "12h", "30d", "52w".
// Errors: INVALID_ARGUMENT on `field` for anything else.
absl::StatusOr<google::protobuf::Duration> ParseDuration(
    const std::string& text, const std::string& field);

// In the largest unit that it is a whole number of.
std::string FormatDuration(const google::protobuf::Duration& duration);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_DURATION_H_
