#include "client/render.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/utf8.h"
#include "client/duration.h"
#include "client/render_profile.h"
#include "client/timestamp.h"
#include "client/units.h"

namespace mneme::client {
namespace {

constexpr char kBold[] = "\033[1;33m";
constexpr char kDim[] = "\033[2m";
constexpr char kPlain[] = "\033[0m";
constexpr char kReplacement[] = "\uFFFD";

std::string Percent(double share) {
  return absl::StrFormat("%.1f%%", 100 * share);
}

void Row(std::ostream& out, const std::string& name, const std::string& value) {
  out << absl::StrFormat("%-20s %s\n", name, value);
}

void Row(std::ostream& out, const std::string& name, uint64_t value) {
  Row(out, name, absl::StrFormat("%d", value));
}

std::string HeadShares(const v1::Passage& passage) {
  std::vector<std::string> heads;
  for (const v1::HeadShare& head : passage.heads()) {
    heads.push_back(Printable(head.head()) + " " + Percent(head.share()));
  }
  return absl::StrJoin(heads, ", ");
}

// Role, time and metadata, as far as the passage has them.
std::string Facts(const v1::Passage& passage) {
  std::vector<std::string> facts;
  if (!passage.role().empty()) facts.push_back(Printable(passage.role()));
  if (passage.has_time()) facts.push_back(FormatTimestamp(passage.time()));
  std::vector<std::string> pairs;
  for (const auto& [key, value] : passage.metadata()) {
    pairs.push_back(Printable(key) + "=" + Printable(value));
  }
  std::sort(pairs.begin(), pairs.end());
  facts.insert(facts.end(), pairs.begin(), pairs.end());
  return absl::StrJoin(facts, "  ");
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string printable;
  printable.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool c1 = byte == 0xC2 && i + 1 < text.size() &&
                    static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (c1) {
      printable += kReplacement;
      ++i;
    } else if (byte == '\r') {
      continue;
    } else if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F) {
      printable += kReplacement;
    } else {
      printable += text[i];
    }
  }
  return printable;
}

std::string Highlighted(const v1::Passage& passage, bool color) {
  const std::string_view text = passage.text();
  if (!color) return Printable(text);
  std::string shown;
  size_t done = 0;
  for (const v1::ByteSpan& match : passage.matches()) {
    const bool fits = match.begin() >= done && match.begin() < match.end() &&
                      match.end() <= text.size() &&
                      base::IsCodePointBoundary(text, match.begin()) &&
                      base::IsCodePointBoundary(text, match.end());
    if (!fits) continue;
    shown += Printable(text.substr(done, match.begin() - done));
    shown += kBold;
    shown += Printable(text.substr(match.begin(), match.end() - match.begin()));
    shown += kPlain;
    done = match.end();
  }
  return shown + Printable(text.substr(done));
}

std::string PlaceOf(const v1::Passage& passage) {
  if (passage.source().empty()) {
    return absl::StrFormat("entry %d:%d-%d", passage.entry(),
                           passage.span().begin(), passage.span().end());
  }
  return absl::StrFormat("%s:%d-%d", Printable(passage.source()),
                         passage.source_span().begin(),
                         passage.source_span().end());
}

std::string NameOf(v1::Tier tier) {
  switch (tier) {
    case v1::TIER_SINK:
      return "sink";
    case v1::TIER_WINDOW:
      return "window";
    case v1::TIER_KNN:
      return "knn";
    case v1::TIER_COMPRESSIVE:
      return "compressive";
    default:
      return "-";
  }
}

std::string ShortName(const std::string& session) {
  const std::vector<std::string> parts = absl::StrSplit(session, '/');
  if (parts.size() != 4) return session;
  return parts[1] == "default" ? parts[3] : parts[1] + "/" + parts[3];
}

std::string TierShares(
    const google::protobuf::RepeatedPtrField<v1::TierShare>& tiers) {
  std::vector<std::string> shares;
  for (const v1::TierShare& tier : tiers) {
    shares.push_back(NameOf(tier.tier()) + " " + Percent(tier.share()));
  }
  return absl::StrJoin(shares, ", ");
}

void RenderRecall(const v1::RecallResponse& response, bool explain, bool color,
                  std::ostream& out) {
  int rank = 0;
  for (const v1::Passage& passage : response.passages()) {
    out << absl::StrFormat("%2d. %s  %s  %s\n", ++rank, PlaceOf(passage),
                           NameOf(passage.tier()), Percent(passage.share()));
    const std::string facts = Facts(passage);
    if (!facts.empty()) {
      out << "    " << (color ? kDim : "") << facts << (color ? kPlain : "")
          << "\n";
    }
    if (explain) {
      out << absl::StrFormat("    entry %d, seq %d-%d, score %.4f; heads: %s\n",
                             passage.entry(), passage.seq_first(),
                             passage.seq_first() + passage.tokens(),
                             passage.score(), HeadShares(passage));
    }
    out << "    "
        << absl::StrReplaceAll(Highlighted(passage, color), {{"\n", "\n    "}})
        << "\n\n";
  }
  if (explain) {
    out << "tiers: " << TierShares(response.tiers())
        << "\nlog:   " << response.seq_next() << " tokens\n";
  }
}

void RenderCitations(const v1::AssembleContextResponse& response,
                     uint32_t budget, std::ostream& out) {
  for (const v1::Citation& citation : response.citations()) {
    out << absl::StrFormat(
        "[%d] %s  %s\n", citation.mark(), PlaceOf(citation.passage()),
        citation.recent() ? "recent"
                          : NameOf(citation.passage().tier()) + "  " +
                                Percent(citation.passage().share()));
  }
  out << absl::StrFormat("%d of %d tokens", response.tokens_used(), budget);
  if (response.omitted() > 0) {
    out << absl::StrFormat("; %d recalled passages did not fit",
                           response.omitted());
  }
  out << "\n";
}

void RenderSession(const v1::Session& session, std::ostream& out) {
  Row(out, "name", Printable(session.name()));
  Row(out, "entries", session.entries());
  Row(out, "tokens", session.tokens());
  Row(out, "seq_next", session.seq_next());
  Row(out, "position_next", absl::StrFormat("%d", session.position_next()));
  if (session.has_create_time()) {
    Row(out, "created", FormatTimestamp(session.create_time()));
  }
  if (session.has_update_time()) {
    Row(out, "updated", FormatTimestamp(session.update_time()));
  }
  if (session.has_ttl()) {
    Row(out, "deleted",
        FormatDuration(session.ttl()) + " after its last change");
  }
  Row(out, "profile", Printable(session.profile().name()));
  RenderProfile(session.profile(), "  ", out);
}

void RenderSessions(const v1::ListSessionsResponse& response,
                    std::ostream& out) {
  size_t width = 7;
  for (const v1::Session& session : response.sessions()) {
    width = std::max(width, ShortName(session.name()).size());
  }
  out << absl::StrFormat("%-*s %10s %12s  %-12s %s\n", static_cast<int>(width),
                         "SESSION", "ENTRIES", "TOKENS", "PROFILE", "UPDATED");
  for (const v1::Session& session : response.sessions()) {
    out << absl::StrFormat(
        "%-*s %10d %12d  %-12s %s\n", static_cast<int>(width),
        Printable(ShortName(session.name())), session.entries(),
        session.tokens(), Printable(session.profile().name()),
        session.has_update_time() ? FormatTimestamp(session.update_time())
                                  : "-");
  }
}

void RenderStats(const v1::StatsResponse& response, std::ostream& out) {
  if (response.has_session()) {
    const v1::SessionStats& session = response.session();
    Row(out, "entries", session.entries());
    Row(out, "passages", session.passages());
    Row(out, "text", HumanBytes(session.text_bytes()));
    Row(out, "tokens", session.tokens());
    Row(out, "  window", session.window_tokens());
    Row(out, "  knn", session.knn_tokens());
    Row(out, "  knn, sealed",
        absl::StrFormat("%d in %d segments", session.sealed_tokens(),
                        session.segments()));
    Row(out, "  compressive",
        absl::StrFormat("%d, checkpoint at seq %d",
                        session.compressive_tokens(),
                        session.checkpoint_seq()));
    Row(out, "keys and values", HumanBytes(session.row_bytes()));
    out << "\n";
  }
  const v1::ServerStats& server = response.server();
  Row(out, "server", Printable(server.version()));
  if (server.kernel_target().empty()) {  // No server leaves that out.
    out << "the rest is shown to callers with the scope read on *\n";
    return;
  }
  Row(out, "sessions",
      absl::StrFormat("%d, %d of them open", server.sessions(),
                      server.open_sessions()));
  Row(out, "disk", HumanBytes(server.disk_bytes()));
  Row(out, "memory", HumanBytes(server.resident_bytes()));
  Row(out, "uptime", HumanSeconds(server.uptime_seconds()));
  Row(out, "kernels", Printable(server.kernel_target()));
}

void RenderVerify(const std::string& session,
                  const v1::VerifyResponse& response, std::ostream& out) {
  out << Printable(ShortName(session)) << ": "
      << (response.clean() ? "clean" : "NOT CLEAN") << "\n";
  for (const v1::VerifyCheck& check : response.checks()) {
    out << absl::StrFormat("  %-4s %-12s %10d  %s\n", check.ok() ? "ok" : "BAD",
                           Printable(check.name()), check.checked(),
                           Printable(check.detail()));
  }
}

}  // namespace mneme::client
