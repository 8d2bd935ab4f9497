// service/limit_table.h: how much each namespace may have, as a file says.
//   {"default": {"sessions": 1000, "appends_per_second": 50},
//    "namespaces": {"notes": {"sessions": null, "bytes": 10000000000}}}
// A namespace of its own replaces what it names of the default; null lifts it.

#ifndef MNEME_SERVICE_LIMIT_TABLE_H_
#define MNEME_SERVICE_LIMIT_TABLE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace mneme::service {

// Of one namespace; absent: no limit.
struct NamespaceLimits {
  // Of the tokens and entries that are remembered: keys and values; text, role,
  // source and metadata.
  std::optional<uint64_t> bytes = std::nullopt;
  std::optional<uint64_t> sessions = std::nullopt;
  std::optional<double> appends_per_second = std::nullopt;
  // How many at once after a pause. Absent: those of a second, at least one.
  std::optional<uint64_t> appends_burst = std::nullopt;
  // Requests that are not answered.
  std::optional<uint64_t> in_flight = std::nullopt;
  // Bytes of requests and answers, until the answer has left.
  std::optional<uint64_t> in_flight_bytes = std::nullopt;

  friend bool operator==(const NamespaceLimits&,
                         const NamespaceLimits&) = default;
};

struct LimitTable {
  NamespaceLimits defaults = {};
  std::map<std::string, NamespaceLimits, std::less<>> namespaces = {};

  const NamespaceLimits& Of(std::string_view space) const {
    const auto it = namespaces.find(space);
    return it == namespaces.end() ? defaults : it->second;
  }
};

// Errors:   INVALID_ARGUMENT INVALID_FIELD naming the key, for anything but
//           such an object: unknown or repeated keys, numbers out of range,
//           names that no namespace can have.
absl::StatusOr<LimitTable> ParseLimitTable(std::string_view json);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_LIMIT_TABLE_H_
