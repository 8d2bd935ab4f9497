// service/credentials.h: what a caller shows, as gRPC has it.

#ifndef MNEME_SERVICE_CREDENTIALS_H_
#define MNEME_SERVICE_CREDENTIALS_H_

#include <grpcpp/server_context.h>

#include "service/access_table.h"

namespace mneme::service {

// The token is what the metadata "authorization: Bearer TOKEN" holds; empty for
// another scheme and when there is more than one. Names are taken from a
// certificate only when TLS has verified it.
Credentials CredentialsOf(const grpc::CallbackServerContext& context);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_CREDENTIALS_H_
