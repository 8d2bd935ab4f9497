// memory/session_name.h: namespaces/{namespace}/sessions/{session}.

#ifndef MNEME_MEMORY_SESSION_NAME_H_
#define MNEME_MEMORY_SESSION_NAME_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace mneme::memory {

struct SessionName {
  std::string space;    // The namespace.
  std::string session;  // The session in it.

  friend bool operator==(const SessionName&, const SessionName&) = default;
  std::string ToString() const;

  // Each part: 1 to 63 characters of [a-z0-9._-], first a letter or digit.
  // Errors: INVALID_ARGUMENT on field `session`.
  static absl::StatusOr<SessionName> Parse(std::string_view name);
};

// "namespaces/{namespace}" -> namespace. Errors: INVALID_ARGUMENT on `parent`.
absl::StatusOr<std::string> ParseNamespace(std::string_view name);

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_SESSION_NAME_H_
