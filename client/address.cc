#include "client/address.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/numbers.h"
#include "base/error.h"

namespace mneme::client {
namespace {

constexpr std::string_view kGrpcSchemes[] = {
    "unix:", "unix-abstract:", "dns:", "ipv4:", "ipv6:", "vsock:"};
constexpr int kPortMax = 65535;

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

bool IsHostPort(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  const std::string host = text.substr(0, colon);
  const bool bracketed = host.front() == '[' && host.back() == ']';
  const std::string port = text.substr(colon + 1);
  int number = 0;
  return (bracketed || host.find_first_of(":/ ") == std::string::npos) &&
         port.find_first_not_of("0123456789") == std::string::npos &&
         absl::SimpleAtoi(port, &number) && number > 0 && number <= kPortMax;
}

}  // namespace

absl::Status CheckAddress(const std::string& address) {
  for (const std::string_view web : {"http://", "https://"}) {
    if (!StartsWith(address, web)) continue;
    return base::InvalidField(
        "server", base::Quoted(address),
        "host:port without \"" + std::string(web) +
            "\"; --tls or --tls-ca say that it speaks TLS");
  }
  const bool named = std::any_of(
      std::begin(kGrpcSchemes), std::end(kGrpcSchemes),
      [&](std::string_view scheme) { return StartsWith(address, scheme); });
  if (named || IsHostPort(address)) return absl::OkStatus();
  return base::InvalidField(
      "server", base::Quoted(address),
      "host:port (\"localhost:7788\", \"[::1]:7788\") or unix:/path");
}

}  // namespace mneme::client
