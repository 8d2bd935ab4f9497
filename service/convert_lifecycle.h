// service/convert_lifecycle.h: how long sessions live and what they forget,
// from and to the wire.

#ifndef MNEME_SERVICE_CONVERT_LIFECYCLE_H_
#define MNEME_SERVICE_CONVERT_LIFECYCLE_H_

#include <google/protobuf/duration.pb.h>

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "memory/operations.h"
#include "memory/types.h"
#include "mneme/v1/memory_service.pb.h"

namespace mneme::service {

// Errors: INVALID_ARGUMENT that names the field.
absl::StatusOr<memory::ForgetTarget> ForgetTargetFromProto(
    const v1::ForgetRequest& request);

// A ttl in microseconds. Errors: INVALID_ARGUMENT outside 1 s to 100 years.
absl::StatusOr<int64_t> TtlFromProto(const google::protobuf::Duration& ttl);
void SetTtl(int64_t ttl_us, google::protobuf::Duration* proto);

void SetOperation(const memory::Operation& operation, v1::Operation* proto);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_CONVERT_LIFECYCLE_H_
