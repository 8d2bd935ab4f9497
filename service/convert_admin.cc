#include "service/convert_admin.h"

#include "service/convert_time.h"

namespace mneme::service {

void SetSnapshot(const memory::Snapshot& snapshot, v1::Snapshot* proto) {
  proto->set_name(snapshot.name);
  proto->set_directory(snapshot.directory);
  SetTime(snapshot.create_time_us, proto->mutable_create_time());
  proto->set_bytes(snapshot.bytes);
}

}  // namespace mneme::service
