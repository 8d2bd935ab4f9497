#include "service/tls.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <functional>

#include "absl/status/statusor.h"
#include "base/error.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace mneme::service {
namespace {

namespace experimental = grpc::experimental;

// How often files are looked at.
constexpr unsigned int kRefreshSeconds = 1;

using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using File = std::unique_ptr<BIO, decltype(&BIO_free)>;

// The library would ask the terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

absl::Status Unusable(const char* field, const std::string& path,
                      std::string_view expected) {
  ERR_clear_error();
  return base::InvalidField(field, base::Quoted(path), expected);
}

absl::StatusOr<File> Open(const char* field, const std::string& path) {
  File file(BIO_new_file(path.c_str(), "r"), BIO_free);
  if (file == nullptr) {
    return Unusable(field, path, "a PEM file that can be read");
  }
  return file;
}

absl::StatusOr<Certificate> ReadCertificate(const char* field,
                                            const std::string& path) {
  ASSIGN_OR_RETURN(const File file, Open(field, path));
  Certificate certificate(
      PEM_read_bio_X509(file.get(), nullptr, NoPassphrase, nullptr), X509_free);
  if (certificate == nullptr) {
    return Unusable(field, path, "a certificate in PEM");
  }
  return certificate;
}

absl::StatusOr<Key> ReadKey(const char* field, const std::string& path) {
  ASSIGN_OR_RETURN(const File file, Open(field, path));
  Key key(PEM_read_bio_PrivateKey(file.get(), nullptr, NoPassphrase, nullptr),
          EVP_PKEY_free);
  if (key == nullptr) {
    return Unusable(field, path, "a private key in PEM without a passphrase");
  }
  return key;
}

void WarnIfExpired(const X509& certificate, const std::string& path) {
  if (X509_cmp_current_time(X509_get0_notAfter(&certificate)) < 0) {
    base::Log(base::LogLevel::kWarning, "tls",
              {{"file", path}, {"error", std::string("it has expired")}});
  }
}

}  // namespace

absl::Status CheckTls(const TlsFiles& files) {
  if (files.none()) return absl::OkStatus();
  if (files.certificate.empty() || files.key.empty()) {
    return base::InvalidField(files.key.empty() ? "tls_key" : "tls_cert",
                              "nothing",
                              "both a certificate and its key, to serve TLS");
  }
  ASSIGN_OR_RETURN(const Certificate certificate,
                   ReadCertificate("tls_cert", files.certificate));
  ASSIGN_OR_RETURN(const Key key, ReadKey("tls_key", files.key));
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return Unusable("tls_key", files.key,
                    "the key of the certificate in " + files.certificate);
  }
  WarnIfExpired(*certificate, files.certificate);
  if (files.client_ca.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Certificate ca,
                   ReadCertificate("tls_client_ca", files.client_ca));
  WarnIfExpired(*ca, files.client_ca);
  return absl::OkStatus();
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
