// proto/status.h: the one place where absl::Status and grpc::Status meet.
// Codes map one to one; reason, field, facts, quota and retry delay travel as
// google.rpc details in the trailer grpc-status-details-bin.

#ifndef MNEME_PROTO_STATUS_H_
#define MNEME_PROTO_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace mneme::proto {

// What a server answers for `status`.
grpc::Status ToGrpc(const absl::Status& status);

// What a client learned from `status`; details it does not know are dropped.
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace mneme::proto

#endif  // MNEME_PROTO_STATUS_H_
