// client/document.h: a long text becomes appends.
// A document of any length travels as parts of at most kPartBytes, cut after a
// blank line, a line, a sentence or a word, in that order of preference, never
// inside a code point. Each part is an entry with its place in the document,
// and its request id is a function of session, source, place and words:
// appending the same document again, after a crash for instance, adds only what
// is missing.

#ifndef MNEME_CLIENT_DOCUMENT_H_
#define MNEME_CLIENT_DOCUMENT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "client/client.h"

namespace mneme::client {

// Large enough to amortise a sync, small enough that a crash repeats little.
inline constexpr size_t kPartBytes = 64 << 10;

struct Document {
  std::string session;  // Full name.
  std::string source;   // File name or record id; may be empty.
  std::string role;
  std::string time;  // ISO 8601 with or without zone (then UTC); may be empty.
  std::map<std::string, std::string> metadata;
  bool buffered = false;  // Acknowledge BUFFERED instead of SYNCED.
};

struct DocumentProgress {
  uint64_t bytes_done;
  uint64_t bytes_total;
  v1::AppendResponse last;
};

struct DocumentResult {
  uint64_t entries = 0;   // Parts acknowledged, replayed ones included.
  uint64_t replayed = 0;  // Parts the session already had.
  uint64_t passages = 0;
  uint64_t seq_next = 0;
};

// The parts of `text`, as [begin, end) in bytes. Covers all of it; only the
// last part is shorter than half of kPartBytes. REQUIRES: `text` is UTF-8.
std::vector<std::pair<size_t, size_t>> CutParts(std::string_view text);

// Appends `text` in parts; `progress` is called after each acknowledged part
// and stops the append (CANCELLED, unless that part was the last) by returning
// false. A part of white space only is left out.
// Errors: INVALID_ARGUMENT for text that is not UTF-8 or is blank (nothing is
// appended), else the server's. Parts before a failed one are remembered.
absl::StatusOr<DocumentResult> AppendDocument(
    Client& client, const Document& document, std::string_view text,
    const std::function<bool(const DocumentProgress&)>& progress = {});

}  // namespace mneme::client

#endif  // MNEME_CLIENT_DOCUMENT_H_
