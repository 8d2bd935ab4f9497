#include "service/convert_admin.h"

#include "service/convert_time.h"

namespace mneme::service {

void SetSnapshot(const memory::Snapshot& snapshot, v1::Snapshot* proto) {
  proto->set_name(snapshot.name);
  proto->set_directory(snapshot.directory);
  SetTime(snapshot.create_time_us, proto->mutable_create_time());
  proto->set_bytes(snapshot.bytes);
}

void SetSearch(const memory::RemnantSearch& search,
               const std::map<uint64_t, memory::SessionName>& names,
               v1::VerifyForgottenResponse* proto) {
  proto->set_clean(search.found == 0);
  proto->set_found(search.found);
  proto->set_files(search.files);
  proto->set_bytes(search.bytes);
  for (const memory::Remnant& remnant : search.remnants) {
    v1::Remnant& one = *proto->add_remnants();
    const auto name = names.find(remnant.uid);
    if (name != names.end()) one.set_session(name->second.ToString());
    one.set_seq_begin(remnant.seq_begin);
    one.set_file(remnant.file);
    one.set_offset(remnant.offset);
  }
}

}  // namespace mneme::service
