// tests/testing/certificates.h: certificates that are made as a test needs
// them.

#ifndef MNEME_TESTS_TESTING_CERTIFICATES_H_
#define MNEME_TESTS_TESTING_CERTIFICATES_H_

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <string>

namespace mneme::testing {

// PEM texts.
struct Identity {
  std::string certificate;
  std::string key;
};

// Signs certificates.
class Authority {
 public:
  explicit Authority(const std::string& name)
      : key_(EVP_EC_gen("P-256")),
        certificate_(Make(key_, name, /*server_names=*/"", kHour)) {}
  ~Authority() {
    X509_free(certificate_);
    EVP_PKEY_free(key_);
  }
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  std::string certificate() const { return Pem(certificate_); }

  // Of the common name `name`, and for the addresses and hosts of
  // `server_names`, e.g. "IP:127.0.0.1,DNS:localhost".
  Identity Issue(const std::string& name, const std::string& server_names = "",
                 long lives_seconds = kHour) const {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = Make(key, name, server_names, lives_seconds);
    BIO* memory = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(memory, key, nullptr, nullptr, 0, nullptr,
                             nullptr);
    Identity identity{.certificate = Pem(certificate), .key = Text(memory)};
    BIO_free(memory);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return identity;
  }

 private:
  static constexpr long kHour = 3600;

  static std::string Text(BIO* memory) {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(memory, &bytes);
    return std::string(bytes, size);
  }
  static std::string Pem(X509* certificate) {
    BIO* memory = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(memory, certificate);
    std::string text = Text(memory);
    BIO_free(memory);
    return text;
  }
  static void Extend(X509* certificate, X509* issuer, int id,
                     const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension =
        X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
    if (extension == nullptr) std::abort();
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }

  // Signed by this authority; by itself while it has no certificate yet.
  X509* Make(EVP_PKEY* key, const std::string& name,
             const std::string& server_names, long lives_seconds) const {
    static long serial = 0;
    X509* made = X509_new();
    X509* issuer = key == key_ ? made : certificate_;
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(made), -60);
    X509_gmtime_adj(X509_getm_notAfter(made), lives_seconds);
    X509_set_pubkey(made, key);
    X509_NAME_add_entry_by_txt(
        X509_get_subject_name(made), "CN", MBSTRING_ASC,
        reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(made, X509_get_subject_name(issuer));
    if (issuer == made) {
      Extend(made, issuer, NID_basic_constraints, "critical,CA:TRUE");
      Extend(made, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
    }
    if (!server_names.empty()) {
      Extend(made, issuer, NID_subject_alt_name, server_names);
    }
    X509_sign(made, key_, EVP_sha256());
    return made;
  }

  EVP_PKEY* const key_;
  X509* const certificate_;
};

}  // namespace mneme::testing

#endif  // MNEME_TESTS_TESTING_CERTIFICATES_H_
