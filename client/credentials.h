// client/credentials.h: how a client shows who it is, and knows the server.

#ifndef MNEME_CLIENT_CREDENTIALS_H_
#define MNEME_CLIENT_CREDENTIALS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mneme::client {

// Nothing of it is needed for a server that does not ask.
struct Credentials {
  std::string token = {};  // A bearer token; wins over token_file.
  std::string token_file = {};
  bool tls = false;            // Speak TLS; also when one of the next is given.
  std::string ca_file = {};    // PEM of who signs servers. Empty: the system's.
  std::string cert_file = {};  // PEM of the client's certificate, and
  std::string key_file = {};   // of its private key, for mutual TLS.
  // Send the token in clear text to another machine.
  bool plaintext_token = false;

  bool uses_tls() const {
    return tls || !ca_file.empty() || !cert_file.empty() || !key_file.empty();
  }
};

// The token to send, without the white space around it in its file; empty for
// none.
// Errors:   INVALID_ARGUMENT on token_file when it cannot be read or holds no
//           token; no part of it is repeated.
absl::StatusOr<std::string> TokenOf(const Credentials& credentials);

// Errors:   FAILED_PRECONDITION PLAINTEXT_TOKEN when `credentials` have a token
//           and no TLS, and others than this machine could hear it at
//           `address`.
absl::Status CheckNotOverheard(const Credentials& credentials,
                               const std::string& address);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_CREDENTIALS_H_
