// service/convert_time.h: points in time of the wire, and memory's.

#ifndef MNEME_SERVICE_CONVERT_TIME_H_
#define MNEME_SERVICE_CONVERT_TIME_H_

#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"

namespace mneme::service {

// Microseconds since the epoch.
// Errors:   INVALID_ARGUMENT on `field` outside the years 1 to 9999, or for
//           nanos that are no part of a second.
absl::StatusOr<int64_t> MicrosFromProto(const google::protobuf::Timestamp& time,
                                        std::string_view field);

void SetTime(int64_t micros, google::protobuf::Timestamp* proto);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_CONVERT_TIME_H_
