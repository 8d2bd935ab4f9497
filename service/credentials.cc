#include "service/credentials.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>

#include <string>
#include <string_view>

#include "absl/strings/match.h"

namespace mneme::service {
namespace {

constexpr char kAuthorization[] = "authorization";
constexpr char kBearer[] = "Bearer ";

// The scheme's name is not case-sensitive (RFC 9110, 11.1).
std::string TokenIn(std::string_view header) {
  const size_t scheme_bytes = sizeof(kBearer) - 1;
  if (header.size() <= scheme_bytes ||
      !absl::EqualsIgnoreCase(std::string(header.substr(0, scheme_bytes)),
                              kBearer)) {
    return "";
  }
  return std::string(header.substr(scheme_bytes));
}

}  // namespace

Credentials CredentialsOf(const grpc::CallbackServerContext& context) {
  Credentials credentials;
  const auto [first, last] =
      context.client_metadata().equal_range(kAuthorization);
  if (first != last) {
    credentials.has_token = true;
    if (std::next(first) == last) {
      credentials.token = TokenIn({first->second.data(), first->second.size()});
    }
  }
  const auto peer = context.auth_context();
  if (peer == nullptr || !peer->IsPeerAuthenticated()) return credentials;
  for (const char* property :
       {GRPC_X509_CN_PROPERTY_NAME, GRPC_X509_SAN_PROPERTY_NAME}) {
    for (const grpc::string_ref& value : peer->FindPropertyValues(property)) {
      credentials.certificate_names.emplace_back(value.data(), value.size());
    }
  }
  return credentials;
}

}  // namespace mneme::service
