#include "service/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/error.h"

namespace mneme::service {
namespace {

constexpr char kScheme[] = "sha256";
constexpr size_t kSaltBytes = 16;
constexpr size_t kSaltBytesMax = 64;

absl::StatusOr<std::string> RandomBytes(size_t count) {
  std::string bytes(count, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()),
                 static_cast<int>(count)) != 1) {
    return absl::InternalError("the system gives no random bytes");
  }
  return bytes;
}

bool FromHex(const std::string& text, std::string* bytes) {
  if (text.size() % 2 != 0 ||
      !std::all_of(text.begin(), text.end(), absl::ascii_isxdigit)) {
    return false;
  }
  *bytes = absl::HexStringToBytes(text);
  return true;
}

}  // namespace

absl::StatusOr<std::string> NewToken() {
  const auto bytes = RandomBytes(kTokenRandomBytes);
  if (!bytes.ok()) return bytes.status();
  return absl::StrCat(std::string(kTokenPrefix),
                      absl::WebSafeBase64Escape(*bytes));
}

absl::StatusOr<std::string> NewSalt() { return RandomBytes(kSaltBytes); }

Sha256 DigestOf(std::string_view salt, std::string_view token) {
  std::string salted(salt);
  salted += token;
  Sha256 digest;
  unsigned int size = 0;
  CHECK(EVP_Digest(salted.data(), salted.size(), digest.data(), &size,
                   EVP_sha256(), nullptr) == 1);
  CHECK(size == digest.size());
  OPENSSL_cleanse(salted.data(), salted.size());
  return digest;
}

bool SameDigest(const Sha256& a, const Sha256& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string TokenHash::ToString() const {
  const std::string bytes(digest.begin(), digest.end());
  return absl::StrCat(kScheme, ":", absl::BytesToHexString(salt), ":",
                      absl::BytesToHexString(bytes));
}

absl::StatusOr<TokenHash> TokenHash::Parse(std::string_view text) {
  const std::vector<std::string> parts = absl::StrSplit(std::string(text), ':');
  TokenHash hash;
  std::string digest;
  if (parts.size() == 3 && parts[0] == kScheme &&
      FromHex(parts[1], &hash.salt) && !hash.salt.empty() &&
      hash.salt.size() <= kSaltBytesMax && FromHex(parts[2], &digest) &&
      digest.size() == hash.digest.size()) {
    std::copy(digest.begin(), digest.end(), hash.digest.begin());
    return hash;
  }
  return base::InvalidField(
      "token", absl::StrCat(text.size(), " bytes"),
      "sha256:SALT:DIGEST in hexadecimal, as `mneme token "
      "new` prints it");
}

}  // namespace mneme::service
