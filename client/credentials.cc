#include "client/credentials.h"

#include <algorithm>
#include <fstream>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/loopback.h"

namespace mneme::client {
namespace {

// More than gRPC takes as metadata.
constexpr size_t kTokenBytesMax = 4096;

// What may stand in a header: no line can be added to it.
bool IsToken(const std::string& text) {
  return !text.empty() && text.size() <= kTokenBytesMax &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c > ' ' && c < 0x7f; });
}

std::string HostOf(const std::string& address) {
  const std::string host = address.substr(0, address.rfind(':'));
  const bool bracketed =
      host.size() > 2 && host.front() == '[' && host.back() == ']';
  return bracketed ? host.substr(1, host.size() - 2) : host;
}

}  // namespace

absl::StatusOr<std::string> TokenOf(const Credentials& credentials) {
  std::string token = credentials.token;
  if (token.empty() && !credentials.token_file.empty()) {
    std::ifstream file(credentials.token_file, std::ios::binary);
    std::string bytes(2 * kTokenBytesMax, '\0');
    file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!file.is_open() || file.bad()) {
      return base::InvalidField("token_file",
                                base::Quoted(credentials.token_file),
                                "a file that can be read");
    }
    bytes.resize(static_cast<size_t>(file.gcount()));
    token = std::string(absl::StripAsciiWhitespace(bytes));
    if (token.empty()) {
      return base::InvalidField(
          "token_file",
          base::Quoted(credentials.token_file) + " with nothing in it",
          "a token");
    }
  }
  if (token.empty() || IsToken(token)) return token;
  return base::InvalidField(
      "token", absl::StrCat(token.size(), " bytes"),
      "one word of ASCII, as `mneme token new` prints it");
}

absl::Status CheckNotOverheard(const Credentials& credentials,
                               const std::string& address) {
  const bool has_token =
      !credentials.token.empty() || !credentials.token_file.empty();
  if (!has_token || credentials.uses_tls() || credentials.plaintext_token ||
      address.rfind("unix:", 0) == 0 || base::IsLoopback(HostOf(address))) {
    return absl::OkStatus();
  }
  return base::Error(
      absl::StatusCode::kFailedPrecondition,
      absl::StrCat("the token is not sent to ", address,
                   " in clear text, where others could read it. Use TLS "
                   "(--tls-ca FILE, or --tls), or pass --allow-plaintext-token "
                   "if the network is yours"),
      {.reason = "PLAINTEXT_TOKEN", .metadata = {{"address", address}}});
}

}  // namespace mneme::client
