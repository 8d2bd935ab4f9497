// service/token.h: bearer tokens, and what is kept of them.

#ifndef MNEME_SERVICE_TOKEN_H_
#define MNEME_SERVICE_TOKEN_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace mneme::service {

// Tokens begin with it, so that a scanner finds one that leaked into a
// repository or a log.
inline constexpr std::string_view kTokenPrefix = "mneme_";

// 256 bits: nobody guesses one, so one round of SHA-256 is enough to keep.
inline constexpr size_t kTokenRandomBytes = 32;

// Errors:   INTERNAL when the system gives no randomness.
absl::StatusOr<std::string> NewToken();

using Sha256 = std::array<uint8_t, 32>;

// What is stored of a token: from it, the token cannot be found.
struct TokenHash {
  std::string salt = {};  // Raw bytes.
  Sha256 digest = {};     // Of the salt, then the token.

  // "sha256:SALT:DIGEST", both in hexadecimal.
  std::string ToString() const;
  // Errors:   INVALID_ARGUMENT on `token`; what was given is not repeated, as
  // it
  //           may be a token.
  static absl::StatusOr<TokenHash> Parse(std::string_view text);
};

Sha256 DigestOf(std::string_view salt, std::string_view token);

// Takes as long for digests that differ early as for those that differ late.
bool SameDigest(const Sha256& a, const Sha256& b);

// A salt of 16 random bytes. Errors: as NewToken.
absl::StatusOr<std::string> NewSalt();

}  // namespace mneme::service

#endif  // MNEME_SERVICE_TOKEN_H_
