// client/unreachable.h: why no call reaches a server, in words that help.

#ifndef MNEME_CLIENT_UNREACHABLE_H_
#define MNEME_CLIENT_UNREACHABLE_H_

#include <string>

#include "absl/status/status.h"
#include "client/credentials.h"

namespace mneme::client {

// `status` is gRPC's own, without a reason. Unless it says that no Mneme server
// was reached, it comes back as it is; else UNAVAILABLE with what is at
// `address` and what to do about it, and as the reason
//   NO_SERVER           nobody answers, or hangs up at once;
//   SERVER_NOT_TRUSTED  its certificate is not the expected one;
//   NOT_A_SERVER        something else answers.
absl::Status Unreachable(const absl::Status& status, const std::string& address,
                         const Credentials& credentials);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_UNREACHABLE_H_
