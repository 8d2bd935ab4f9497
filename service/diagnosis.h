// service/diagnosis.h: what is wrong with a server and its data, and what to
// do about it.

#ifndef MNEME_SERVICE_DIAGNOSIS_H_
#define MNEME_SERVICE_DIAGNOSIS_H_

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "memory/memory.h"
#include "memory/snapshots.h"
#include "memory/types.h"
#include "mneme/v1/admin_service.pb.h"

namespace mneme::service {

// What is looked at.
struct Patient {
  memory::Memory* memory = nullptr;
  std::string data_dir = "";  // Empty: its disk is not looked at.
  absl::StatusOr<std::vector<memory::Snapshot>> snapshots =
      std::vector<memory::Snapshot>();
  std::chrono::system_clock::time_point now = {};
  // Other machines reach it, and nobody is asked who he is.
  bool open_to_all = false;
};

// A finding for every subject, the worst first. Opens every record once.
// Errors: CANCELLED.
absl::StatusOr<v1::DiagnoseResponse> Diagnose(
    const Patient& patient, const memory::Cancelled& cancelled);

// What `free_bytes` of `bytes` are for a disk that is written to, and
// `files_max` for a process that opens files and connections.
v1::Finding FindingOfDisk(uint64_t free_bytes, uint64_t bytes);
v1::Finding FindingOfFiles(uint64_t files_max);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_DIAGNOSIS_H_
