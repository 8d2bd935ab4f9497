// client/render.h: answers as people read them.
// What a session remembers was written by others: nothing of it reaches a
// terminal as a control sequence.

#ifndef MNEME_CLIENT_RENDER_H_
#define MNEME_CLIENT_RENDER_H_

#include <ostream>
#include <string>
#include <string_view>

#include "mneme/v1/memory_service.pb.h"

namespace mneme::client {

// `text` without carriage returns, every other control character but newline
// and tab replaced by U+FFFD.
std::string Printable(std::string_view text);

// The words of `passage`, those that match the query in bold with `color`.
// Spans that do not fit the text are ignored.
std::string Highlighted(const v1::Passage& passage, bool color);

// "book.txt:1024-1311", or "entry 12:0-300" without a source.
std::string PlaceOf(const v1::Passage& passage);

// "window", "knn"; "-" when absent.
std::string NameOf(v1::Tier tier);

// "namespaces/default/sessions/s1" -> "s1"; another namespace -> "ns/s1".
std::string ShortName(const std::string& session);

void RenderRecall(const v1::RecallResponse& response, bool explain, bool color,
                  std::ostream& out);
void RenderCitations(const v1::AssembleContextResponse& response,
                     uint32_t budget, std::ostream& out);
void RenderSession(const v1::Session& session, std::ostream& out);
void RenderSessions(const v1::ListSessionsResponse& response,
                    std::ostream& out);
void RenderStats(const v1::StatsResponse& response, std::ostream& out);
void RenderVerify(const std::string& session,
                  const v1::VerifyResponse& response, std::ostream& out);
// "window 62.0%, knn 38.0%".
std::string TierShares(
    const google::protobuf::RepeatedPtrField<v1::TierShare>& tiers);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_RENDER_H_
