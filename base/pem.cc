#include "base/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/error.h"
#include "base/status_macros.h"

namespace mneme::base {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using File = std::unique_ptr<BIO, decltype(&BIO_free)>;

// The library would ask the terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

absl::Status Unusable(const std::string& field, const std::string& path,
                      std::string_view expected) {
  ERR_clear_error();
  return InvalidField(field, Quoted(path), expected);
}

absl::StatusOr<File> Open(const std::string& field, const std::string& path) {
  File file(BIO_new_file(path.c_str(), "r"), BIO_free);
  if (file == nullptr) {
    return Unusable(field, path, "a PEM file that can be read");
  }
  return file;
}

absl::StatusOr<Key> ReadKey(const std::string& field, const std::string& path) {
  ASSIGN_OR_RETURN(const File file, Open(field, path));
  Key key(PEM_read_bio_PrivateKey(file.get(), nullptr, NoPassphrase, nullptr),
          EVP_PKEY_free);
  if (key == nullptr) {
    return Unusable(field, path, "a private key in PEM without a passphrase");
  }
  return key;
}

}  // namespace

absl::StatusOr<Certificate> ReadCertificate(const std::string& field,
                                            const std::string& path) {
  ASSIGN_OR_RETURN(const File file, Open(field, path));
  Certificate certificate(
      PEM_read_bio_X509(file.get(), nullptr, NoPassphrase, nullptr), X509_free);
  if (certificate == nullptr) {
    return Unusable(field, path, "a file with a certificate in PEM");
  }
  return certificate;
}

bool HasExpired(const X509& certificate) {
  return X509_cmp_current_time(X509_get0_notAfter(&certificate)) < 0;
}

absl::Status CheckKeyPair(const std::string& certificate_field,
                          const std::string& certificate_path,
                          const std::string& field, const std::string& path) {
  ASSIGN_OR_RETURN(const Certificate certificate,
                   ReadCertificate(certificate_field, certificate_path));
  ASSIGN_OR_RETURN(const Key key, ReadKey(field, path));
  if (X509_check_private_key(certificate.get(), key.get()) == 1) {
    return absl::OkStatus();
  }
  return Unusable(field, path,
                  "the key of the certificate in " + certificate_path);
}

}  // namespace mneme::base
