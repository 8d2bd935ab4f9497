#include "service/scope.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "memory/session_name.h"

namespace mneme::service {
namespace {

constexpr std::string_view kNamespaces = "namespaces/";

bool ParseScope(std::string_view text, Scope* scope) {
  for (const Scope known : {Scope::kRead, Scope::kAppend, Scope::kAdmin}) {
    if (text == NameOf(known)) {
      *scope = known;
      return true;
    }
  }
  return false;
}

bool IsNamespace(std::string_view text) {
  return memory::ParseNamespace(std::string(kNamespaces) + std::string(text))
      .ok();
}

}  // namespace

std::string_view NameOf(Scope scope) {
  switch (scope) {
    case Scope::kNone:
      return "none";
    case Scope::kRead:
      return "read";
    case Scope::kAppend:
      return "append";
    case Scope::kAdmin:
      return "admin";
  }
  return "none";
}

std::string Grant::ToString() const {
  return absl::StrCat(space, ":", std::string(NameOf(scope)));
}

absl::StatusOr<Grant> Grant::Parse(std::string_view text) {
  const size_t colon = text.find(':');
  Grant grant;
  if (colon != std::string_view::npos &&
      ParseScope(text.substr(colon + 1), &grant.scope)) {
    grant.space = std::string(text.substr(0, colon));
    if (grant.space == kEverywhere || IsNamespace(grant.space)) return grant;
  }
  return base::InvalidField(
      "scope", base::Quoted(text),
      "NAMESPACE:SCOPE, with a namespace or *, and read, append or admin");
}

bool Permits(const std::vector<Grant>& grants, Scope scope,
             std::string_view space) {
  if (scope == Scope::kNone) return true;
  return std::any_of(grants.begin(), grants.end(), [&](const Grant& grant) {
    return grant.scope >= scope && (grant.space == kEverywhere ||
                                    (!space.empty() && grant.space == space));
  });
}

std::string_view NamespaceOf(std::string_view name) {
  if (!name.starts_with(kNamespaces)) return {};
  name.remove_prefix(kNamespaces.size());
  return name.substr(0, name.find('/'));
}

}  // namespace mneme::service
