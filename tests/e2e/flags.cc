#include "tests/e2e/flags.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace mneme::e2e {

absl::StatusOr<Flags> Flags::Parse(
    int argc, char** argv, std::map<std::string, std::string> defaults) {
  std::string usage = absl::StrCat("usage: ", argv[0]);
  for (const auto& [name, value] : defaults) {
    absl::StrAppend(&usage, " [--", name, " ", value.empty() ? "''" : value,
                    "]");
  }
  Flags flags;
  flags.values_ = std::move(defaults);
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    const auto found = name.starts_with("--")
                           ? flags.values_.find(name.substr(2))
                           : flags.values_.end();
    if (found == flags.values_.end() || i + 1 == argc) {
      return absl::InvalidArgumentError(usage);
    }
    found->second = argv[i + 1];
  }
  return flags;
}

const std::string& Flags::Text(const std::string& name) const {
  const auto found = values_.find(name);
  CHECK(found != values_.end());
  return found->second;
}

absl::StatusOr<uint64_t> Flags::Number(const std::string& name) const {
  uint64_t number = 0;
  if (!absl::SimpleAtoi(Text(name), &number)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", name, ": got ", Text(name), "; expected a number"));
  }
  return number;
}

}  // namespace mneme::e2e
