#include "service/convert_time.h"

#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace mneme::service {
namespace {

using google::protobuf::Timestamp;

// RFC 3339's years 1 to 9999, as google.protobuf.Timestamp has it.
constexpr int64_t kSecondsMin = -62'135'596'800;
constexpr int64_t kSecondsMax = 253'402'300'799;

}  // namespace

absl::StatusOr<int64_t> MicrosFromProto(const Timestamp& time,
                                        std::string_view field) {
  if (time.seconds() < kSecondsMin || time.seconds() > kSecondsMax ||
      time.nanos() < 0 || time.nanos() > 999'999'999) {
    return base::InvalidField(
        field, absl::StrCat(time.seconds(), " s ", time.nanos(), " ns"),
        "a time in the years 1 to 9999, nanos 0 to 999,999,999");
  }
  return time.seconds() * 1'000'000 + time.nanos() / 1000;
}

void SetTime(int64_t micros, Timestamp* proto) {
  int64_t seconds = micros / 1'000'000;
  int64_t rest = micros % 1'000'000;
  if (rest < 0) {
    rest += 1'000'000;
    --seconds;
  }
  proto->set_seconds(seconds);
  proto->set_nanos(static_cast<int32_t>(rest * 1000));
}

}  // namespace mneme::service
