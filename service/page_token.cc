#include "service/page_token.h"

#include "absl/strings/escaping.h"
#include "base/error.h"

namespace mneme::service {

std::string EncodePageToken(const memory::SessionName& last) {
  return absl::WebSafeBase64Escape(last.ToString());
}

absl::StatusOr<std::string> DecodePageToken(std::string_view token,
                                            const std::string& space) {
  if (token.empty()) return std::string();
  std::string name;
  if (absl::WebSafeBase64Unescape(std::string(token), &name)) {
    const auto last = memory::SessionName::Parse(name);
    if (last.ok() && last->space == space) return last->session;
  }
  return base::InvalidField("page_token", "a token of something else",
                            "next_page_token of a list with the same parent");
}

}  // namespace mneme::service
