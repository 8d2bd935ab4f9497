#include "service/tls.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include "base/error.h"
#include "base/log.h"
#include "base/pem.h"
#include "base/status_macros.h"

namespace mneme::service {
namespace {

namespace experimental = grpc::experimental;

// How often files are looked at.
constexpr unsigned int kRefreshSeconds = 1;

// One that has expired is no error: a clock may be wrong.
absl::Status CheckCertificate(const char* field, const std::string& path) {
  ASSIGN_OR_RETURN(const base::Certificate certificate,
                   base::ReadCertificate(field, path));
  if (base::HasExpired(*certificate)) {
    base::Log(base::LogLevel::kWarning, "tls",
              {{"file", path}, {"error", std::string("it has expired")}});
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckTls(const TlsFiles& files) {
  if (files.none()) return absl::OkStatus();
  if (files.certificate.empty() || files.key.empty()) {
    return base::InvalidField(files.key.empty() ? "tls_key" : "tls_cert",
                              "nothing",
                              "both a certificate and its key, to serve TLS");
  }
  RETURN_IF_ERROR(CheckCertificate("tls_cert", files.certificate));
  RETURN_IF_ERROR(
      base::CheckKeyPair("tls_cert", files.certificate, "tls_key", files.key));
  if (files.client_ca.empty()) return absl::OkStatus();
  return CheckCertificate("tls_client_ca", files.client_ca);
}

std::shared_ptr<grpc::ServerCredentials> TlsCredentials(const TlsFiles& files) {
  const bool mutual = !files.client_ca.empty();
  experimental::TlsServerCredentialsOptions options(
      mutual
          ? std::make_shared<experimental::FileWatcherCertificateProvider>(
                files.key, files.certificate, files.client_ca, kRefreshSeconds)
          : std::make_shared<experimental::FileWatcherCertificateProvider>(
                files.key, files.certificate, kRefreshSeconds));
  options.watch_identity_key_cert_pairs();
  if (mutual) options.watch_root_certs();
  options.set_cert_request_type(
      mutual ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
             : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  return experimental::TlsServerCredentials(options);
}

}  // namespace mneme::service
