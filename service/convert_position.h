// service/convert_position.h: position encodings of the wire to attention's and
// back.

#ifndef MNEME_SERVICE_CONVERT_POSITION_H_
#define MNEME_SERVICE_CONVERT_POSITION_H_

#include "absl/status/statusor.h"
#include "attention/position_config.h"
#include "mneme/v1/profile.pb.h"

namespace mneme::service {

// Numbers that are present but zero, and parameters of another family, are
// refused here; the rest is attention::Validate's.
// Errors:   INVALID_ARGUMENT on a field below "profile.position".
absl::StatusOr<attention::PositionConfig> PositionFromProto(
    const v1::PositionEncoding& proto);

// The family's parameters with every default filled in, and no others; an
// attention factor only if it was given.
void SetPosition(const attention::PositionConfig& position,
                 v1::PositionEncoding* proto);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_CONVERT_POSITION_H_
