// service/convert_admin.h: what an operator is told, on the wire.

#ifndef MNEME_SERVICE_CONVERT_ADMIN_H_
#define MNEME_SERVICE_CONVERT_ADMIN_H_

#include <cstdint>
#include <map>

#include "memory/memory.h"
#include "memory/remnants.h"
#include "memory/snapshots.h"
#include "mneme/v1/admin_service.pb.h"

namespace mneme::service {

void SetSnapshot(const memory::Snapshot& snapshot, v1::Snapshot* proto);

// Its finds; who found them, by `names`. A session that is gone is "".
void SetSearch(const memory::RemnantSearch& search,
               const std::map<uint64_t, memory::SessionName>& names,
               v1::VerifyForgottenResponse* proto);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_CONVERT_ADMIN_H_
