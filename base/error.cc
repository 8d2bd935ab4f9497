#include "base/error.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/utf8.h"

namespace mneme::base {
namespace {

constexpr char kDetailUrl[] = "type.mneme/error-detail";
constexpr std::chrono::milliseconds kNoRetry(-1);

std::string Encode(const ErrorDetail& detail) {
  ByteWriter out;
  out.Text(detail.reason);
  out.Text(detail.field);
  out.Text(detail.quota);
  out.Number(
      static_cast<int64_t>(detail.retry_after.value_or(kNoRetry).count()));
  for (const auto& [key, value] : detail.metadata) {
    out.Text(key);
    out.Text(value);
  }
  return out.Take();
}

ErrorDetail Decode(const std::string& bytes) {
  ByteReader in(bytes);
  ErrorDetail detail;
  detail.reason = in.Text();
  detail.field = in.Text();
  detail.quota = in.Text();
  const std::chrono::milliseconds retry(in.Number<int64_t>());
  if (retry != kNoRetry) detail.retry_after = retry;
  while (in.ok() && in.left() > 0) {
    const std::string key(in.Text());
    detail.metadata[key] = in.Text();
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
  while (shown > 0 && !IsCodePointBoundary(given, shown)) --shown;
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

absl::Status WithFacts(const absl::Status& status,
                       const std::map<std::string, std::string>& facts) {
  ErrorDetail detail = DetailOf(status);
  detail.metadata.insert(facts.begin(), facts.end());
  absl::Status with = status;
  with.SetPayload(kDetailUrl, absl::Cord(Encode(detail)));
  return with;
}

}  // namespace mneme::base
