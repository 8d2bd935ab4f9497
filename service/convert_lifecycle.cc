#include "service/convert_lifecycle.h"

#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "service/convert.h"
#include "service/convert_time.h"

namespace mneme::service {
namespace {

using base::InvalidField;

constexpr int64_t kTtlSecondsMax = int64_t{100} * 366 * 24 * 60 * 60;

memory::SeqRange SeqRangeFromProto(const v1::SeqRange& range) {
  return {range.begin(),
          range.has_end() ? range.end() : std::numeric_limits<uint64_t>::max()};
}

absl::StatusOr<memory::TimeRange> TimeRangeFromProto(
    const v1::TimeRange& proto) {
  memory::TimeRange range;
  if (!proto.has_begin() && !proto.has_end()) {
    return InvalidField("time_range", "nothing", "a begin, an end, or both");
  }
  if (proto.has_begin()) {
    ASSIGN_OR_RETURN(range.begin_us,
                     MicrosFromProto(proto.begin(), "time_range.begin"));
  }
  if (proto.has_end()) {
    ASSIGN_OR_RETURN(range.end_us,
                     MicrosFromProto(proto.end(), "time_range.end"));
  }
  return range;
}

const char* WordOf(memory::Operation::Kind kind) {
  switch (kind) {
    case memory::Operation::Kind::kForget:
      return "forget";
    case memory::Operation::Kind::kDeleteSession:
      return "delete_session";
    case memory::Operation::Kind::kDeleteNamespace:
      return "delete_namespace";
  }
  return "";
}

}  // namespace

absl::StatusOr<memory::ForgetTarget> ForgetTargetFromProto(
    const v1::ForgetRequest& request) {
  switch (request.target_case()) {
    case v1::ForgetRequest::kEntry:
      return memory::EntryNumber{request.entry()};
    case v1::ForgetRequest::kSource:
      if (request.source().empty()) {
        return InvalidField("source", "nothing", "the name of a source");
      }
      return memory::RecallFilter{
          .source = request.source(), .role = {}, .metadata = {}};
    case v1::ForgetRequest::kSeqRange:
      return SeqRangeFromProto(request.seq_range());
    case v1::ForgetRequest::kTimeRange:
      return TimeRangeFromProto(request.time_range());
    case v1::ForgetRequest::kFilter:
      return FilterFromProto(request.filter());
    default:
      return InvalidField("target", "nothing",
                          "entry, source, seq_range, time_range or filter");
  }
}

absl::StatusOr<int64_t> TtlFromProto(const google::protobuf::Duration& ttl) {
  if (ttl.seconds() < 1 || ttl.seconds() > kTtlSecondsMax || ttl.nanos() < 0 ||
      ttl.nanos() > 999'999'999) {
    const std::string nanos =
        ttl.nanos() == 0 ? "" : absl::StrCat(" and ", ttl.nanos(), " ns");
    return InvalidField("ttl", absl::StrCat(ttl.seconds(), "s", nanos),
                        "1s to 100 years");
  }
  return ttl.seconds() * 1'000'000 + ttl.nanos() / 1000;
}

void SetTtl(int64_t ttl_us, google::protobuf::Duration* proto) {
  proto->set_seconds(ttl_us / 1'000'000);
  proto->set_nanos(static_cast<int32_t>(ttl_us % 1'000'000 * 1000));
}

void SetOperation(const memory::Operation& operation, v1::Operation* proto) {
  proto->set_name(operation.ToString());
  proto->set_kind(WordOf(operation.kind));
  proto->set_done(operation.done());
  SetTime(operation.create_time_us, proto->mutable_create_time());
  if (operation.done()) {
    SetTime(operation.done_time_us, proto->mutable_done_time());
  }
  proto->set_error(operation.error);
}

}  // namespace mneme::service
