// base/pem.h: certificates and keys in PEM files, checked before a library that
// explains less is given them.

#ifndef MNEME_BASE_PEM_H_
#define MNEME_BASE_PEM_H_

#include <openssl/types.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mneme::base {

using Certificate = std::unique_ptr<X509, void (*)(X509*)>;

// The first certificate of the file.
// Errors:   INVALID_ARGUMENT on `field`.
absl::StatusOr<Certificate> ReadCertificate(const std::string& field,
                                            const std::string& path);

bool HasExpired(const X509& certificate);

// Whether the file holds the private key of the certificate in
// `certificate_path`, without a passphrase.
// Errors:   INVALID_ARGUMENT on `field`, or on `certificate_field`.
absl::Status CheckKeyPair(const std::string& certificate_field,
                          const std::string& certificate_path,
                          const std::string& field, const std::string& path);

}  // namespace mneme::base

#endif  // MNEME_BASE_PEM_H_
