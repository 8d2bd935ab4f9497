#include "memory/session_name.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace mneme::memory {
namespace {

constexpr std::string_view kNamespaces = "namespaces/";
constexpr std::string_view kSessions = "/sessions/";
constexpr size_t kPartBytesMax = 63;  // A DNS label, so names travel anywhere.

bool IsPart(std::string_view part) {
  if (part.empty() || part.size() > kPartBytesMax) return false;
  for (const char c : part) {
    if (!absl::ascii_islower(c) && !absl::ascii_isdigit(c) && c != '.' &&
        c != '_' && c != '-') {
      return false;
    }
  }
  return absl::ascii_isalnum(part[0]);
}

}  // namespace

std::string SessionName::ToString() const {
  return absl::StrCat("namespaces/", space, "/sessions/", session);
}

absl::StatusOr<SessionName> SessionName::Parse(std::string_view name) {
  // A namespace may itself be called "sessions".
  const size_t middle = name.find(kSessions, kNamespaces.size());
  if (name.starts_with(kNamespaces) && middle != std::string_view::npos) {
    SessionName parsed{
        .space = std::string(
            name.substr(kNamespaces.size(), middle - kNamespaces.size())),
        .session = std::string(name.substr(middle + kSessions.size()))};
    if (IsPart(parsed.space) && IsPart(parsed.session)) return parsed;
  }
  return base::InvalidField(
      "session", base::Quoted(name),
      "namespaces/{namespace}/sessions/{session}, each 1 to 63 characters of "
      "[a-z0-9._-] starting with a letter or digit");
}

absl::StatusOr<std::string> ParseNamespace(std::string_view name) {
  if (name.starts_with(kNamespaces)) {
    const std::string_view part = name.substr(kNamespaces.size());
    if (IsPart(part)) return std::string(part);
  }
  return base::InvalidField("parent", base::Quoted(name),
                            "namespaces/{namespace}, 1 to 63 characters of "
                            "[a-z0-9._-] starting with a letter or digit");
}

}  // namespace mneme::memory
