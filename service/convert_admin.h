// service/convert_admin.h: what an operator is told, on the wire.

#ifndef MNEME_SERVICE_CONVERT_ADMIN_H_
#define MNEME_SERVICE_CONVERT_ADMIN_H_

#include "memory/snapshots.h"
#include "mneme/v1/admin_service.pb.h"

namespace mneme::service {

void SetSnapshot(const memory::Snapshot& snapshot, v1::Snapshot* proto);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_CONVERT_ADMIN_H_
