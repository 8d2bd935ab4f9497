#include "service/listen_address.h"

#include <arpa/inet.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/loopback.h"

namespace mneme::service {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr int kPortMax = 65535;

bool ParsePort(std::string_view text, int* port) {
  return !text.empty() &&
         text.find_first_not_of("0123456789") == std::string_view::npos &&
         absl::SimpleAtoi(std::string(text), port) && *port <= kPortMax;
}

// Fills host and port; false when `text` is not host:port.
bool ParseHostPort(std::string_view text, ListenAddress* address) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  std::string_view host = text.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    in6_addr parsed;
    if (inet_pton(AF_INET6, std::string(host).c_str(), &parsed) != 1) {
      return false;
    }
  } else if (host.find_first_of(":/[]% ") != std::string_view::npos) {
    return false;
  }
  address->host = std::string(host);
  return ParsePort(text.substr(colon + 1), &address->port);
}

}  // namespace

bool ListenAddress::is_local() const {
  return is_unix() || base::IsLoopback(host);
}

std::string ListenAddress::ToString(int bound_port) const {
  if (is_unix()) return absl::StrCat(std::string(kUnix), path);
  const bool v6 = host.find(':') != std::string::npos;
  return v6 ? absl::StrCat("[", host, "]:", bound_port)
            : absl::StrCat(host, ":", bound_port);
}

absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text,
                                                 std::string_view field) {
  ListenAddress address;
  if (text.starts_with(kUnix)) {
    address.path = std::string(text.substr(kUnix.size()));
    if (!address.path.empty()) return address;
  } else if (ParseHostPort(text, &address)) {
    return address;
  }
  return base::InvalidField(
      field, absl::StrCat("\"", std::string(text), "\""),
      "host:port (\"127.0.0.1:7788\", \"[::1]:0\") or unix:/path");
}

absl::Status CheckLocal(const ListenAddress& address, std::string_view field,
                        std::string_view why) {
  if (address.is_local()) return absl::OkStatus();
  return base::Error(
      absl::StatusCode::kFailedPrecondition,
      absl::StrCat(std::string(field), ": ", address.ToString(address.port),
                   " can be reached from other machines, and ",
                   std::string(why),
                   ", listen on 127.0.0.1, or pass --allow-remote if something "
                   "else protects the port"),
      {.reason = "NOT_LOOPBACK", .field = std::string(field)});
}

}  // namespace mneme::service
