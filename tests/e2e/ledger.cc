#include "tests/e2e/ledger.h"

#include <cstdint>
#include <map>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/utf8.h"

namespace mneme::e2e {
namespace {

// As many as a recall returns at most; a part of 64 KiB has fewer passages.
constexpr uint32_t kEveryPassage = 1000;

absl::Status Wrong(const std::string& what) {
  return absl::DataLossError(what);
}

bool HasWords(std::string_view text) {
  return !text.empty() && !base::IsBlank(text);
}

// The passages are the words of `entry` in their places: every character that
// is not white space, and every seq of the append, exactly once.
absl::Status CheckPassages(const v1::RecallResponse& recalled,
                           const v1::TextEntry& entry,
                           const v1::AppendResponse& appended) {
  if (recalled.passages_size() != static_cast<int>(appended.passages())) {
    return Wrong(absl::StrCat(recalled.passages_size(), " passages of ",
                              appended.passages()));
  }
  std::map<uint64_t, const v1::Passage*> by_seq;
  for (const v1::Passage& passage : recalled.passages()) {
    by_seq[passage.seq_first()] = &passage;
  }
  const std::string_view text = entry.text();
  uint64_t seq = appended.seq_first();
  uint64_t end = 0;
  for (const auto& [first, passage] : by_seq) {
    const uint64_t begin = passage->span().begin();
    if (first != seq || begin < end || begin > text.size() ||
        passage->entry() != appended.entry() ||
        passage->source_span().begin() != entry.source_offset() + begin) {
      return Wrong("a passage is out of its place: " +
                   passage->ShortDebugString());
    }
    if (HasWords(text.substr(end, begin - end))) {
      return Wrong(absl::StrCat("words before byte ", begin, " are missing"));
    }
    end = passage->span().end();
    if (end > text.size() ||
        text.substr(begin, end - begin) != passage->text()) {
      return Wrong(absl::StrCat("other words at byte ", begin));
    }
    seq += passage->tokens();
  }
  if (seq != appended.seq_next() || HasWords(text.substr(end))) {
    return Wrong("the end is missing");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Ledger::Note(const v1::AppendResponse& response) {
  const uint64_t first =
      acknowledged_.empty() ? 0 : acknowledged_.back().seq_next();
  if (response.seq_first() != first || response.seq_next() <= first) {
    return Wrong(absl::StrCat("part ", acknowledged(), " is [",
                              response.seq_first(), ", ", response.seq_next(),
                              "); expected it to begin at ", first));
  }
  acknowledged_.push_back(response);
  return absl::OkStatus();
}

absl::Status Ledger::Check(client::Client& client) const {
  ASSIGN_OR_RETURN(const v1::Session session, client.GetSession(session_));
  RETURN_IF_ERROR(CheckCounts(session));
  for (size_t part = 0; part < acknowledged(); ++part) {
    const absl::Status sound = CheckPart(client, part);
    if (!sound.ok()) {
      return absl::Status(sound.code(),
                          absl::StrCat("part ", part, ": ", sound.message()));
    }
  }
  ASSIGN_OR_RETURN(const v1::VerifyResponse verified, client.Verify(session_));
  if (verified.clean()) return absl::OkStatus();
  return Wrong("verify: " + verified.ShortDebugString());
}

absl::Status Ledger::CheckCounts(const v1::Session& session) const {
  const uint64_t entries = acknowledged();
  const uint64_t seq = entries == 0 ? 0 : acknowledged_.back().seq_next();
  const bool in_flight = session.entries() == entries + 1;
  if (session.entries() != entries && !in_flight) {
    return Wrong(absl::StrCat(session.entries(), " entries; ", entries,
                              " are acknowledged and one was under way"));
  }
  if (in_flight ? session.seq_next() <= seq : session.seq_next() != seq) {
    return Wrong(absl::StrCat("the log ends at ", session.seq_next(), " with ",
                              session.entries(), " entries; ", entries,
                              " acknowledged ones end at ", seq));
  }
  return absl::OkStatus();
}

absl::Status Ledger::CheckPart(client::Client& client, size_t part) const {
  const v1::TextEntry& entry = corpus_.parts[part].text();
  v1::RecallRequest request;
  request.set_session(session_);
  // A recall returns what has something in common with the question: every
  // passage has, when all words are asked for.
  request.set_query(entry.text());
  request.set_limit(kEveryPassage);
  request.mutable_filter()->set_source(entry.source());
  (*request.mutable_filter()->mutable_metadata())["part"] = absl::StrCat(part);
  ASSIGN_OR_RETURN(const v1::RecallResponse recalled, client.Recall(request));
  return CheckPassages(recalled, entry, acknowledged_[part]);
}

}  // namespace mneme::e2e
