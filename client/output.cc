#include "client/output.h"

#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/error.h"

namespace mneme::client {

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  CHECK(google::protobuf::util::MessageToJsonString(message, &json, options)
            .ok());
  return json;
}

ExitCode ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return kExitUsage;
    case absl::StatusCode::kNotFound:
      return kExitNotFound;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return kExitUnavailable;
    case absl::StatusCode::kResourceExhausted: {
      // What the server gives no time for, waiting does not mend: a quota, a
      // message too large. A full disk is its operator's to mend.
      const base::ErrorDetail detail = base::DetailOf(status);
      return detail.retry_after || detail.reason == "DISK_FULL"
                 ? kExitUnavailable
                 : kExitRefused;
    }
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return kExitRefused;
    default:
      return kExitFailed;
  }
}

void PrintError(const absl::Status& status, bool json, std::ostream& err) {
  const std::string message(status.message());
  if (!json) {
    err << "mneme: " << message << std::endl;
    return;
  }
  const base::ErrorDetail detail = base::DetailOf(status);
  const std::string code = absl::StatusCodeToString(status.code());
  const nlohmann::ordered_json error = {
      {"code", code},
      {"reason", detail.reason.empty() ? code : detail.reason},
      {"field", detail.field},
      {"message", message},
      {"metadata", nlohmann::json(detail.metadata)}};
  err << nlohmann::ordered_json({{"error", error}})
             .dump(-1, ' ', false,
                   nlohmann::ordered_json::error_handler_t::replace)
      << std::endl;
}

}  // namespace mneme::client
