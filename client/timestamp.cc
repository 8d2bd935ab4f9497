#include "client/timestamp.h"

#include <google/protobuf/timestamp.pb.h>

#include "absl/time/time.h"
#include "base/error.h"

namespace mneme::client {
namespace {

constexpr const char* kFormats[] = {
    "%Y-%m-%dT%H:%M:%E*S%Ez", "%Y-%m-%d %H:%M:%E*S%Ez", "%Y-%m-%dT%H:%M:%E*S",
    "%Y-%m-%d %H:%M:%E*S",    "%Y-%m-%dT%H:%M%Ez",      "%Y-%m-%d %H:%M%Ez",
    "%Y-%m-%dT%H:%M",         "%Y-%m-%d %H:%M",         "%Y-%m-%d",
};

}  // namespace

absl::StatusOr<google::protobuf::Timestamp> ParseTimestamp(
    const std::string& text) {
  const absl::Time first =
      absl::FromCivil(absl::CivilYear(1), absl::UTCTimeZone());
  const absl::Time last =
      absl::FromCivil(absl::CivilYear(10000), absl::UTCTimeZone());
  for (const char* format : kFormats) {
    absl::Time time;
    if (!absl::ParseTime(format, text, absl::UTCTimeZone(), &time, nullptr)) {
      continue;
    }
    if (time < first || time >= last) break;
    const timespec spec = absl::ToTimespec(time);
    google::protobuf::Timestamp timestamp;
    timestamp.set_seconds(spec.tv_sec);
    timestamp.set_nanos(static_cast<int32_t>(spec.tv_nsec));
    return timestamp;
  }
  return base::InvalidField("time", '"' + text + '"',
                            "ISO 8601, e.g. 2024-05-01T12:00:00Z");
}

std::string FormatTimestamp(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC",
                          absl::FromUnixSeconds(time.seconds()),
                          absl::UTCTimeZone());
}

std::string ExactTimestamp(const google::protobuf::Timestamp& time) {
  return absl::FormatTime(
      "%E4Y-%m-%dT%H:%M:%E*SZ",
      absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos()),
      absl::UTCTimeZone());
}

}  // namespace mneme::client
