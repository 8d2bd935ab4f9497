// service/page_token.h: where the next page of a list begins.

#ifndef MNEME_SERVICE_PAGE_TOKEN_H_
#define MNEME_SERVICE_PAGE_TOKEN_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "memory/session_name.h"

namespace mneme::service {

// The token of a page that begins after `last`; opaque to callers, and good for
// lists of the same namespace only.
std::string EncodePageToken(const memory::SessionName& last);

// The session after which the page begins; empty for an empty token.
// Errors:   INVALID_ARGUMENT on page_token when no list of `space` gave it.
absl::StatusOr<std::string> DecodePageToken(std::string_view token,
                                            const std::string& space);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_PAGE_TOKEN_H_
