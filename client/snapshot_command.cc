#include "client/snapshot_command.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "client/client.h"
#include "client/interrupt.h"
#include "client/output.h"
#include "client/timestamp.h"
#include "client/units.h"

namespace mneme::client {

absl::StatusOr<int> RunSnapshotCreate(const std::string& name,
                                      Context& context) {
  v1::CreateSnapshotRequest request;
  request.set_name(name);
  ASSIGN_OR_RETURN(Client * client, context.Open(kLongCallDeadline));
  ASSIGN_OR_RETURN(const v1::CreateSnapshotResponse response,
                   client->CreateSnapshot(request));
  const v1::Snapshot& snapshot = response.snapshot();
  if (context.json()) {
    context.out() << ToJson(snapshot) << std::endl;
  } else {
    context.out() << "made " << snapshot.name() << ", "
                  << HumanBytes(static_cast<double>(snapshot.bytes()))
                  << ", in " << snapshot.directory() << std::endl;
  }
  return kExitOk;
}

absl::StatusOr<int> RunSnapshotList(Context& context) {
  ASSIGN_OR_RETURN(Client * client, context.Open());
  ASSIGN_OR_RETURN(const v1::ListSnapshotsResponse response,
                   client->ListSnapshots());
  if (context.json()) {
    context.out() << ToJson(response) << std::endl;
    return kExitOk;
  }
  if (response.snapshots().empty()) {
    context.err() << "no snapshots; make one with `mneme snapshot create`"
                  << std::endl;
  }
  size_t width = 0;
  for (const v1::Snapshot& snapshot : response.snapshots()) {
    width = std::max(width, snapshot.name().size());
  }
  for (const v1::Snapshot& snapshot : response.snapshots()) {
    context.out() << absl::StrFormat(
                         "%-*s  %s  %10s  %s", static_cast<int>(width),
                         snapshot.name(),
                         FormatTimestamp(snapshot.create_time()),
                         HumanBytes(static_cast<double>(snapshot.bytes())),
                         snapshot.directory())
                  << std::endl;
  }
  return kExitOk;
}

absl::StatusOr<int> RunSnapshotDelete(const std::string& name,
                                      Context& context) {
  v1::DeleteSnapshotRequest request;
  request.set_name(name);
  ASSIGN_OR_RETURN(Client * client, context.Open(kLongCallDeadline));
  RETURN_IF_ERROR(client->DeleteSnapshot(request));
  if (context.json()) {
    context.out() << ToJson(v1::DeleteSnapshotResponse()) << std::endl;
  } else {
    context.out() << "deleted the snapshot " << name << std::endl;
  }
  return kExitOk;
}

absl::StatusOr<int> RunRestore(const std::string& directory, Context& context) {
  {
    const LastWords words(context.data_dir() +
                          " is not whole; the same command starts over");
    RETURN_IF_ERROR(context.Restore(directory));
  }
  if (context.json()) {
    const nlohmann::ordered_json restored = {{"snapshot", directory},
                                             {"data", context.data_dir()}};
    context.out() << restored.dump() << std::endl;
  } else {
    context.out() << "restored " << directory << " into " << context.data_dir()
                  << "; check it with `mneme --data " << context.data_dir()
                  << " verify --all`, serve it with `mneme serve --data "
                  << context.data_dir() << "`" << std::endl;
  }
  return kExitOk;
}

}  // namespace mneme::client
