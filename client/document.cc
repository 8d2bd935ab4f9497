#include "client/document.h"

#include <google/protobuf/timestamp.pb.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "client/request_id.h"
#include "client/timestamp.h"

namespace mneme::client {
namespace {

// How good a place to cut is; the larger the better.
enum Cut { kNowhere, kCodePoint, kWord, kSentence, kLine, kBlankLine };

bool IsHorizontalSpace(char c) { return c == ' ' || c == '\t'; }

bool IsLineBreak(std::string_view text, size_t i) {
  return text[i] == '\n' ||
         (text[i] == '\r' && (i + 1 == text.size() || text[i + 1] != '\n'));
}

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() &&
         text.substr(text.size() - end.size()) == end;
}

// Whether a sentence ends just before byte `end`, which is a space.
bool SentenceEndsAt(std::string_view text, size_t end) {
  std::string_view before = text.substr(0, end);
  for (bool closing = true; closing;) {
    closing = false;
    for (const std::string_view mark : {"\"", "'", ")", "]", "”", "’", "»"}) {
      if (EndsWith(before, mark)) {
        before.remove_suffix(mark.size());
        closing = true;
      }
    }
  }
  return EndsWith(before, ".") || EndsWith(before, "!") ||
         EndsWith(before, "?") || EndsWith(before, "…");
}

// Whether the line that ends just before byte `end` holds only spaces.
bool IsBlankLineBefore(std::string_view text, size_t end) {
  size_t i = end - 1;  // The line's own break.
  if (text[i] == '\n' && i > 0 && text[i - 1] == '\r') --i;
  while (i > 0 && IsHorizontalSpace(text[i - 1])) --i;
  return i > 0 && IsLineBreak(text, i - 1);
}

Cut CutAt(std::string_view text, size_t place) {
  if (!base::IsCodePointBoundary(text, place)) return kNowhere;
  const char last = text[place - 1];
  if (IsLineBreak(text, place - 1)) {
    return IsBlankLineBefore(text, place) ? kBlankLine : kLine;
  }
  if (last == '\r') return kNowhere;  // Between CR and LF.
  if (IsHorizontalSpace(last)) {
    return SentenceEndsAt(text, place - 1) ? kSentence : kWord;
  }
  const std::string_view before = text.substr(0, place);
  // Ideographic stops end a sentence without a space.
  for (const std::string_view stop : {"。", "！", "？"}) {
    if (EndsWith(before, stop)) return kSentence;
  }
  return EndsWith(before, "\u3000") ? kWord : kCodePoint;
}

// The end of the part that starts at `begin`: the last of the best places in
// the second half of what a part may hold, so that no part is tiny.
size_t PartEnd(std::string_view text, size_t begin) {
  if (text.size() - begin <= kPartBytes) return text.size();
  const std::string_view rest = text.substr(begin);
  Cut best = kNowhere;
  size_t best_place = kPartBytes;
  for (size_t place = kPartBytes; place > kPartBytes / 2 && best != kBlankLine;
       --place) {
    const Cut cut = CutAt(rest, place);
    if (cut > best) {
      best = cut;
      best_place = place;
    }
  }
  return begin + best_place;
}

}  // namespace

std::vector<std::pair<size_t, size_t>> CutParts(std::string_view text) {
  std::vector<std::pair<size_t, size_t>> parts;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = PartEnd(text, begin);
    parts.emplace_back(begin, end);
    begin = end;
  }
  return parts;
}

absl::StatusOr<DocumentResult> AppendDocument(
    Client& client, const Document& document, std::string_view text,
    const std::function<bool(const DocumentProgress&)>& progress) {
  if (const auto bad = base::FirstInvalidUtf8(text)) {
    return base::InvalidField(
        "text", absl::StrCat("invalid UTF-8 at byte ", *bad), "UTF-8");
  }
  if (base::IsBlank(text)) {
    return base::InvalidField(
        "text", text.empty() ? "nothing" : "only white space", "words");
  }
  v1::AppendRequest request;
  request.set_session(document.session);
  if (document.buffered) request.set_acknowledge(v1::ACKNOWLEDGE_BUFFERED);
  v1::TextEntry& entry = *request.mutable_text();
  entry.set_source(document.source);
  entry.set_role(document.role);
  entry.mutable_metadata()->insert(document.metadata.begin(),
                                   document.metadata.end());
  if (!document.time.empty()) {
    ASSIGN_OR_RETURN(*entry.mutable_time(), ParseTimestamp(document.time));
  }

  DocumentResult result;
  for (const auto& [begin, end] : CutParts(text)) {
    const std::string_view words = text.substr(begin, end - begin);
    if (base::IsBlank(words))
      continue;  // Nothing to remember; places stay right.
    request.set_request_id(
        PartRequestId(document.session, document.source, begin, words));
    entry.set_text(words.data(), words.size());
    entry.set_source_offset(begin);
    auto response = client.Append(request);
    if (!response.ok()) {
      return base::Annotate(response.status(),
                            absl::StrCat("text from byte ", begin));
    }
    ++result.entries;
    result.replayed += response->replayed();
    result.passages += response->passages();
    result.seq_next = response->seq_next();
    const bool go_on =
        !progress || progress({end, text.size(), *std::move(response)});
    if (!go_on && end < text.size()) {
      return absl::CancelledError(
          absl::StrCat("stopped after ", end, " of ", text.size(), " bytes"));
    }
  }
  return result;
}

}  // namespace mneme::client
