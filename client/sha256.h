// client/sha256.h: the checksum that sha256sum prints.

#ifndef MNEME_CLIENT_SHA256_H_
#define MNEME_CLIENT_SHA256_H_

#include <memory>
#include <string>
#include <string_view>

namespace mneme::client {

// Threads: one.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Add(std::string_view bytes);
  // 64 hexadecimal digits, of all that was added. Nothing may be added after.
  std::string Hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mneme::client

#endif  // MNEME_CLIENT_SHA256_H_
