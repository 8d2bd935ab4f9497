// service/convert.h: requests of the wire to memory's types, results back.
// What comes out of a FromProto is bounded in size and says what the request
// said; rules that need the session's log are memory's. Every error is an
// INVALID_ARGUMENT that names the field, what was given and what was expected.

#ifndef MNEME_SERVICE_CONVERT_H_
#define MNEME_SERVICE_CONVERT_H_

#include <vector>

#include "absl/status/statusor.h"
#include "memory/memory.h"
#include "memory/profile.h"
#include "memory/types.h"
#include "mneme/v1/memory_service.pb.h"

namespace mneme::service {

// Lifetime: results of a FromProto borrow from the request they were made of.

absl::StatusOr<memory::AppendOptions> AppendOptionsFromProto(
    const v1::AppendRequest& request);

absl::StatusOr<memory::TextEntry> TextEntryFromProto(const v1::TextEntry& text);

// Shapes:   checked against `profile`; finiteness is memory's.
// Errors:   also FAILED_PRECONDITION WRONG_PAYLOAD for a session of text.
absl::StatusOr<memory::TokenRows> TokenRowsFromProto(
    const v1::TokenRows& tokens, const memory::Profile& profile);

// Microseconds since the epoch.
void SetTime(int64_t micros, google::protobuf::Timestamp* proto);

void SetAppendResult(const memory::AppendResult& result,
                     v1::AppendResponse* response);

// Errors:   also when the answer would not fit in one message.
absl::StatusOr<memory::AttendQuery> AttendQueryFromProto(
    const v1::AttendRequest& request, const memory::Profile& profile);

void SetAttendResult(const memory::AttendResult& result,
                     const memory::Profile& profile,
                     v1::AttendResponse* response);

absl::StatusOr<memory::RecallQuery> RecallQueryFromProto(
    const v1::RecallRequest& request);

void SetRecallResult(const memory::RecallResult& result,
                     v1::RecallResponse* response);

absl::StatusOr<memory::ContextQuery> ContextQueryFromProto(
    const v1::AssembleContextRequest& request);

void SetContextResult(const memory::ContextResult& result,
                      v1::AssembleContextResponse* response);

// Errors:   FAILED_PRECONDITION STATE_TOO_LARGE when the state of a layer does
//           not fit in one message.
absl::Status CheckCompressiveFits(const memory::Profile& profile);

void SetCompressiveRead(const memory::CompressiveRead& read,
                        const memory::Profile& profile,
                        v1::GetCompressiveStateResponse* response);

absl::StatusOr<memory::TokensQuery> TokensQueryFromProto(
    const v1::ReadTokensRequest& request);

void SetTokensResult(const memory::TokensResult& result,
                     const memory::Profile& profile, bool tensors,
                     v1::ReadTokensResponse* response);

void SetChecks(const std::vector<memory::VerifyCheck>& checks,
               v1::VerifyResponse* response);

void SetSession(const memory::SessionName& name,
                const memory::Memory::Description& session, v1::Session* proto);

void SetSessionStats(const memory::SessionCounts& counts,
                     v1::SessionStats* proto);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_CONVERT_H_
