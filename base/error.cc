#include "base/error.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/utf8.h"

namespace mneme::base {
namespace {

constexpr char kDetailUrl[] = "type.mneme/error-detail";

// Payload: fields separated by NUL, which no reason, path or fact contains.
constexpr char kSeparator = '\0';

std::string Encode(const ErrorDetail& detail) {
  std::string bytes = absl::StrCat(detail.reason, std::string(1, kSeparator),
                                   detail.field, std::string(1, kSeparator));
  if (detail.retry_after) absl::StrAppend(&bytes, detail.retry_after->count());
  for (const auto& [key, value] : detail.metadata) {
    bytes += kSeparator;
    bytes += key;
    bytes += kSeparator;
    bytes += value;
  }
  return bytes;
}

ErrorDetail Decode(const std::string& bytes) {
  const std::vector<std::string> parts = absl::StrSplit(bytes, kSeparator);
  ErrorDetail detail;
  if (parts.size() < 3) return detail;
  detail.reason = parts[0];
  detail.field = parts[1];
  int64_t retry_ms = 0;
  const auto [end, error] = std::from_chars(
      parts[2].data(), parts[2].data() + parts[2].size(), retry_ms);
  if (!parts[2].empty() && error == std::errc()) {
    detail.retry_after = std::chrono::milliseconds(retry_ms);
  }
  for (size_t i = 3; i + 1 < parts.size(); i += 2) {
    detail.metadata[parts[i]] = parts[i + 1];
  }
  return detail;
}

}  // namespace

absl::Status Error(absl::StatusCode code, std::string_view message,
                   const ErrorDetail& detail) {
  absl::Status status(code, absl::string_view(message.data(), message.size()));
  status.SetPayload(kDetailUrl, absl::Cord(Encode(detail)));
  return status;
}

absl::Status InvalidField(std::string_view field, std::string_view given,
                          std::string_view expected) {
  return Error(absl::StatusCode::kInvalidArgument,
               absl::StrCat(std::string(field), ": got ", std::string(given),
                            "; expected ", std::string(expected)),
               {.reason = "INVALID_FIELD",
                .field = std::string(field),
                .metadata = {{"given", std::string(given)},
                             {"expected", std::string(expected)}}});
}

std::string Quoted(std::string_view given) {
  constexpr size_t kShownBytes = 100;
  size_t shown = std::min(given.size(), kShownBytes);
  while (!IsCodePointBoundary(given, shown)) --shown;
  const std::string text(given.substr(0, shown));
  // A byte that is not UTF-8 must not get into a message either.
  return absl::StrCat("\"",
                      FirstInvalidUtf8(text) ? absl::CHexEscape(text)
                                             : absl::Utf8SafeCHexEscape(text),
                      shown < given.size() ? "\"..." : "\"");
}

ErrorDetail DetailOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kDetailUrl);
  return payload ? Decode(std::string(*payload)) : ErrorDetail{};
}

absl::Status Annotate(const absl::Status& status, std::string_view prefix) {
  absl::Status annotated(
      status.code(), absl::StrCat(std::string(prefix), ": ", status.message()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    annotated.SetPayload(url, payload);
  });
  return annotated;
}

}  // namespace mneme::base
