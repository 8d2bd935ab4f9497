// tests/e2e/flags.h: `--name value` pairs, with defaults.

#ifndef MNEME_TESTS_E2E_FLAGS_H_
#define MNEME_TESTS_E2E_FLAGS_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace mneme::e2e {

class Flags {
 public:
  // `defaults` has every flag that there is, by name.
  // Errors:   INVALID_ARGUMENT that shows the flags.
  static absl::StatusOr<Flags> Parse(
      int argc, char** argv, std::map<std::string, std::string> defaults);

  // REQUIRES: `name` is one of the defaults.
  const std::string& Text(const std::string& name) const;
  // Errors:   INVALID_ARGUMENT that names the flag.
  absl::StatusOr<uint64_t> Number(const std::string& name) const;

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace mneme::e2e

#endif  // MNEME_TESTS_E2E_FLAGS_H_
