// service/listen_address.h: where a server listens, and who could reach it.

#ifndef MNEME_SERVICE_LISTEN_ADDRESS_H_
#define MNEME_SERVICE_LISTEN_ADDRESS_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace mneme::service {

// "host:port", with "[...]" around an IPv6 host and port 0 for a free one, or
// "unix:/path" for a socket in the file system.
struct ListenAddress {
  std::string host;  // Without brackets. Empty: a socket at `path`.
  int port = 0;
  std::string path;

  bool is_unix() const { return host.empty(); }
  // True when only this machine can reach it: a socket in the file system,
  // "localhost", 127.0.0.0/8 or ::1.
  bool is_local() const;
  // As it is written, with the port that was bound.
  std::string ToString(int bound_port) const;
};

// Errors:   INVALID_ARGUMENT on `field`.
absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text,
                                                 std::string_view field);

// Errors:   FAILED_PRECONDITION NOT_LOOPBACK when `address` is not local; `why`
//           is what is wrong with that, and what to do about it.
absl::Status CheckLocal(const ListenAddress& address, std::string_view field,
                        std::string_view why);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_LISTEN_ADDRESS_H_
