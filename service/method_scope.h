// service/method_scope.h: the scope that each method needs. The one list of
// it: doc/security.md shows it, a test compares it with the services.

#ifndef MNEME_SERVICE_METHOD_SCOPE_H_
#define MNEME_SERVICE_METHOD_SCOPE_H_

#include <string_view>

#include "service/scope.h"

namespace mneme::service {

// What a method needs its scope on.
enum class Where {
  kNamed,        // The namespace of the name in the request.
  kNamedOrNone,  // The same; a request without a name needs no scope.
  kEverywhere,   // Every namespace, and the server itself.
};

struct MethodScope {
  Scope scope = Scope::kAdmin;
  Where where = Where::kEverywhere;
};

// By the method's name without its service. One that is not listed needs the
// scope admin everywhere, so that a new method is closed until it is listed.
MethodScope ScopeOf(std::string_view method);

// Whether it is listed.
bool HasScope(std::string_view method);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_METHOD_SCOPE_H_
