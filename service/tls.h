// service/tls.h: TLS on the ports, from files that may change while the server
// runs.

#ifndef MNEME_SERVICE_TLS_H_
#define MNEME_SERVICE_TLS_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "absl/status/status.h"

namespace mneme::service {

// Names of PEM files.
struct TlsFiles {
  std::string certificate = {};  // The server's, then those that signed it.
  std::string key = {};          // Its private key, without a passphrase.
  // Who signs the certificates of clients. Empty: clients need none.
  std::string client_ca = {};

  bool none() const {
    return certificate.empty() && key.empty() && client_ca.empty();
  }
};

// Whether a server could serve with them: they can be read, and the key is the
// certificate's. One that expired is logged as a warning.
// Errors:   INVALID_ARGUMENT on tls_cert, tls_key or tls_client_ca.
absl::Status CheckTls(const TlsFiles& files);

// TLS 1.2 and up; with a client CA, only clients with a certificate of it.
// Files that were replaced count for new connections within some seconds; a
// pair that does not fit lets nobody in until it does. REQUIRES: CheckTls is
// OK.
std::shared_ptr<grpc::ServerCredentials> TlsCredentials(const TlsFiles& files);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_TLS_H_
