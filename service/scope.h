// service/scope.h: what a caller may do, and where.

#ifndef MNEME_SERVICE_SCOPE_H_
#define MNEME_SERVICE_SCOPE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace mneme::service {

// Each includes those before it.
enum class Scope {
  kNone,    // Nothing but what any known caller may.
  kRead,    // Reads what is remembered.
  kAppend,  // Adds to it; can take nothing away.
  kAdmin,   // Forgets, deletes, says how long sessions live.
};

// "read", "append" or "admin"; "none".
std::string_view NameOf(Scope scope);

// The namespace that stands for every namespace and for the server itself.
inline constexpr std::string_view kEverywhere = "*";

// A scope on a namespace.
struct Grant {
  std::string space = {};  // Or kEverywhere.
  Scope scope = Scope::kNone;

  // "notes:append", "*:admin".
  std::string ToString() const;
  // Errors:   INVALID_ARGUMENT on `scope`.
  static absl::StatusOr<Grant> Parse(std::string_view text);
};

// Whether `grants` allow `scope` on `space`. For kEverywhere only a grant on
// kEverywhere does, however many namespaces the others cover.
bool Permits(const std::vector<Grant>& grants, Scope scope,
             std::string_view space);

// The namespace in "namespaces/{namespace}" and in whatever is below it; empty
// when there is none, which no grant but one on kEverywhere covers. The part
// is not validated: it is where every other parser sees it.
std::string_view NamespaceOf(std::string_view name);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_SCOPE_H_
