#include "client/unreachable.h"

#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace mneme::client {
namespace {

// What gRPC says, which has no code for it, and what that means.
struct Symptom {
  std::string_view said;
  std::string_view reason;
  std::string_view meaning;  // Behind "what answers at ADDRESS".
};
constexpr Symptom kSymptoms[] = {
    {"is not in peer certificate", "SERVER_NOT_TRUSTED",
     "shows a certificate for another name. Name the server as its certificate "
     "does, or give it one whose subjectAltName holds this host"},
    {"certificate verify failed", "SERVER_NOT_TRUSTED",
     "shows a certificate that is not signed by whom --tls-ca FILE names, or "
     "has expired"},
    {"wrong version number", "NOT_A_SERVER",
     "does not speak TLS. If it is the right server, leave out --tls, --tls-ca "
     "and $MNEME_TLS_CA"},
    {"http1.x server", "NOT_A_SERVER", "is no Mneme server"},
    {"Failed parsing HTTP/2", "NOT_A_SERVER", "is no Mneme server"},
    {"Received http2 header with status", "NOT_A_SERVER",
     "is no Mneme server, or a proxy that does not reach one"},
};

absl::Status Said(const std::string& message, std::string_view reason,
                  const std::string& address) {
  return base::Error(
      absl::StatusCode::kUnavailable, message,
      {.reason = std::string(reason), .metadata = {{"address", address}}});
}

// What a server that hangs up may have missed.
std::string_view Missed(const Credentials& credentials) {
  if (!credentials.uses_tls()) {
    return "A server with TLS needs --tls-ca FILE, or --tls";
  }
  return credentials.cert_file.empty()
             ? "A server with --tls-client-ca needs --tls-cert FILE and "
               "--tls-key FILE"
             : "A server with --tls-client-ca takes no certificate that "
               "another authority signed";
}

}  // namespace

absl::Status Unreachable(const absl::Status& status, const std::string& address,
                         const Credentials& credentials) {
  const std::string message(status.message());
  for (const Symptom& symptom : kSymptoms) {
    if (!absl::StrContains(message, std::string(symptom.said))) continue;
    return Said(absl::StrCat("what answers at ", address, " ",
                             std::string(symptom.meaning), " (", message, ")"),
                symptom.reason, address);
  }
  if (absl::IsUnimplemented(status)) {
    return Said(absl::StrCat("what answers at ", address,
                             " does not know this call: it is no Mneme server, "
                             "or of an older release"),
                "NOT_A_SERVER", address);
  }
  if (!absl::IsUnavailable(status)) return status;
  // Not a server that went away in the midst of a call.
  if (absl::StrContains(message, "failed to connect") &&
      absl::StrContains(message, "Socket closed")) {
    return Said(absl::StrCat("what answers at ", address, " hangs up (",
                             message, "). ", std::string(Missed(credentials))),
                "NO_SERVER", address);
  }
  return Said(
      absl::StrCat("no server answers at ", address, " (", message,
                   ").\nStart one with `mneme serve`, name another with "
                   "--server, or work on a directory with --data DIR."),
      "NO_SERVER", address);
}

}  // namespace mneme::client
