// client/output.h: what every command prints alike: JSON, errors, exit codes.

#ifndef MNEME_CLIENT_OUTPUT_H_
#define MNEME_CLIENT_OUTPUT_H_

#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "client/cli.h"

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace mneme::client {

// `message` as protobuf JSON on one line: the proto's field names, fields that
// hold their default too.
std::string ToJson(const google::protobuf::Message& message);

// The exit code that tells a script what to do about `status`.
ExitCode ExitCodeOf(const absl::Status& status);

// For people `mneme: MESSAGE`; with `json` one line
// {"error":{"code","reason","field","message","metadata"}}.
void PrintError(const absl::Status& status, bool json, std::ostream& err);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_OUTPUT_H_
