// client/address.h: what a person may write as the address of a server.

#ifndef MNEME_CLIENT_ADDRESS_H_
#define MNEME_CLIENT_ADDRESS_H_

#include <string>

#include "absl/status/status.h"

namespace mneme::client {

// Errors:   INVALID_ARGUMENT on `server` for what is neither host:port nor
//           SCHEME:... of gRPC, such as unix:/path and dns:name:port. Without
//           a port gRPC would silently try that of HTTPS.
absl::Status CheckAddress(const std::string& address);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_ADDRESS_H_
