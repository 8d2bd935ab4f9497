#include "service/memory_service.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "attention/kernels.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "service/convert.h"
#include "service/convert_lifecycle.h"
#include "service/convert_profile.h"
#include "service/page_token.h"
#include "service/unary_call.h"

namespace mneme::service {
namespace {

using base::InvalidField;
using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;
using memory::Cancelled;
using memory::SessionName;
using Priority = Executor::Priority;

// Of sessions in one answer, before the last of them: a profile has at most
// some 5 MB of lists.
constexpr size_t kListBytesMax = 16 << 20;

template <typename Request, typename Response>
Call CallOf(std::string_view method, Priority priority, const Request* request,
            const Response* response,
            Limits::Charge charge = Limits::Charge::kNothing) {
  return {.method = method,
          .session = request->session(),
          .priority = priority,
          .request = request,
          .response = response,
          .charge = charge};
}

absl::StatusOr<memory::Profile> GeometryOf(
    const v1::CreateSessionRequest& request) {
  switch (request.geometry_case()) {
    case v1::CreateSessionRequest::kProfileName:
      return memory::ProfileByName(request.profile_name());
    case v1::CreateSessionRequest::kProfile:
      return ProfileFromProto(request.profile());
    default:
      return InvalidField("geometry", "nothing", "profile_name or profile");
  }
}

std::optional<uint64_t> ExpectedSeqOf(const v1::CommitWindowRequest& request) {
  if (!request.has_expected_seq()) return std::nullopt;
  return request.expected_seq();
}

absl::StatusOr<size_t> PageSizeOf(const v1::ListSessionsRequest& request) {
  if (request.page_size() < 0) {
    return InvalidField("page_size", absl::StrCat(request.page_size()),
                        "0 or more");
  }
  if (request.page_size() == 0) return MemoryService::kPageSizeDefault;
  return std::min(request.page_size(), MemoryService::kPageSizeMax);
}

}  // namespace

MemoryService::MemoryService(memory::Memory* memory, Door* door,
                             Metrics* metrics, Limits* limits,
                             const base::Clock* clock)
    : memory_(memory),
      door_(door),
      metrics_(metrics),
      limits_(limits),
      clock_(clock),
      started_(clock->Ticks()),
      streams_(clock, kStreamsMax) {
  SetMessageAllocatorFor_Append(AnyUnaryCalls());
  SetMessageAllocatorFor_Recall(AnyUnaryCalls());
  SetMessageAllocatorFor_Attend(AnyUnaryCalls());
  SetMessageAllocatorFor_Forget(AnyUnaryCalls());
  SetMessageAllocatorFor_ForkSession(AnyUnaryCalls());
  SetMessageAllocatorFor_AssembleContext(AnyUnaryCalls());
  SetMessageAllocatorFor_CreateSession(AnyUnaryCalls());
  SetMessageAllocatorFor_GetSession(AnyUnaryCalls());
  SetMessageAllocatorFor_ListSessions(AnyUnaryCalls());
  SetMessageAllocatorFor_UpdateSession(AnyUnaryCalls());
  SetMessageAllocatorFor_DeleteSession(AnyUnaryCalls());
  SetMessageAllocatorFor_DeleteNamespace(AnyUnaryCalls());
  SetMessageAllocatorFor_GetOperation(AnyUnaryCalls());
  SetMessageAllocatorFor_GetCompressiveState(AnyUnaryCalls());
  SetMessageAllocatorFor_CommitWindow(AnyUnaryCalls());
  SetMessageAllocatorFor_ReadTokens(AnyUnaryCalls());
  SetMessageAllocatorFor_GetProfile(AnyUnaryCalls());
  SetMessageAllocatorFor_ListProfiles(AnyUnaryCalls());
  SetMessageAllocatorFor_Verify(AnyUnaryCalls());
  SetMessageAllocatorFor_Stats(AnyUnaryCalls());
}

ServerUnaryReactor* MemoryService::Append(CallbackServerContext* context,
                                          const v1::AppendRequest* request,
                                          v1::AppendResponse* response) {
  return door_->Serve(context,
                      CallOf("Append", Priority::kWrite, request, response,
                             Limits::Charge::kAppend),
                      [=, this](const Cancelled& cancelled) {
                        return AppendTo(*request, cancelled, response);
                      });
}

ServerUnaryReactor* MemoryService::Recall(CallbackServerContext* context,
                                          const v1::RecallRequest* request,
                                          v1::RecallResponse* response) {
  return door_->Serve(
      context, CallOf("Recall", Priority::kRead, request, response),
      [=, this](const Cancelled& cancelled) -> absl::Status {
        ASSIGN_OR_RETURN(const auto query, RecallQueryFromProto(*request));
        ASSIGN_OR_RETURN(const auto session, Find(request->session()));
        ASSIGN_OR_RETURN(const auto result, session->Recall(query, cancelled));
        metrics_->Attended(result.shares);
        SetRecallResult(result, response);
        return absl::OkStatus();
      });
}

ServerUnaryReactor* MemoryService::Attend(CallbackServerContext* context,
                                          const v1::AttendRequest* request,
                                          v1::AttendResponse* response) {
  return door_->Serve(context,
                      CallOf("Attend", Priority::kRead, request, response),
                      [=, this](const Cancelled& cancelled) {
                        return AttendOver(*request, response, cancelled);
                      });
}

grpc::ServerBidiReactor<v1::AttendStreamRequest, v1::AttendStreamResponse>*
MemoryService::AttendStream(CallbackServerContext* context) {
  return service::AttendStream::Start(
      context, door_, &streams_,
      [this](const v1::AttendStreamRequest& request,
             v1::AttendStreamResponse* response, const Cancelled& cancelled) {
        switch (request.step_case()) {
          case v1::AttendStreamRequest::kAppend:
            return AppendTo(request.append(), cancelled,
                            response->mutable_append());
          case v1::AttendStreamRequest::kAttend:
            return AttendOver(request.attend(), response->mutable_attend(),
                              cancelled);
          default:
            return InvalidField("step", "nothing", "append or attend");
        }
      });
}

ServerUnaryReactor* MemoryService::Forget(CallbackServerContext* context,
                                          const v1::ForgetRequest* request,
                                          v1::ForgetResponse* response) {
  return door_->Serve(
      context, CallOf("Forget", Priority::kWrite, request, response),
      [=, this](const Cancelled&) -> absl::Status {
        ASSIGN_OR_RETURN(const SessionName name,
                         SessionName::Parse(request->session()));
        ASSIGN_OR_RETURN(const auto target, ForgetTargetFromProto(*request));
        ASSIGN_OR_RETURN(const auto forgotten,
                         memory_->Forget(name, target, request->dry_run()));
        response->set_entries(forgotten.result.entries);
        response->set_tokens(forgotten.result.tokens);
        response->set_operation(forgotten.operation);
        return absl::OkStatus();
      });
}

ServerUnaryReactor* MemoryService::ForkSession(
    CallbackServerContext* context, const v1::ForkSessionRequest* request,
    v1::ForkSessionResponse* response) {
  return door_->Serve(context,
                      CallOf("ForkSession", Priority::kWrite, request, response,
                             Limits::Charge::kSession),
                      [=, this](const Cancelled&) {
                        return ForkTo(*request, response->mutable_session());
                      });
}

ServerUnaryReactor* MemoryService::AssembleContext(
    CallbackServerContext* context, const v1::AssembleContextRequest* request,
    v1::AssembleContextResponse* response) {
  return door_->Serve(
      context, CallOf("AssembleContext", Priority::kRead, request, response),
      [=, this](const Cancelled& cancelled) -> absl::Status {
        ASSIGN_OR_RETURN(const auto query, ContextQueryFromProto(*request));
        ASSIGN_OR_RETURN(const auto session, Find(request->session()));
        ASSIGN_OR_RETURN(const auto result,
                         session->AssembleContext(query, cancelled));
        SetContextResult(result, response);
        return absl::OkStatus();
      });
}

ServerUnaryReactor* MemoryService::CreateSession(
    CallbackServerContext* context, const v1::CreateSessionRequest* request,
    v1::CreateSessionResponse* response) {
  return door_->Serve(
      context,
      CallOf("CreateSession", Priority::kWrite, request, response,
             Limits::Charge::kSession),
      [=, this](const Cancelled&) -> absl::Status {
        ASSIGN_OR_RETURN(const SessionName name,
                         SessionName::Parse(request->session()));
        ASSIGN_OR_RETURN(const memory::Profile profile, GeometryOf(*request));
        int64_t ttl_us = 0;
        if (request->has_ttl()) {
          ASSIGN_OR_RETURN(ttl_us, TtlFromProto(request->ttl()));
        }
        const absl::Status created =
            memory_->Create(name, profile, ttl_us).status();
        if (absl::IsAlreadyExists(created)) {
          return ExistsWith(name, profile, created);
        }
        RETURN_IF_ERROR(created);
        ASSIGN_OR_RETURN(const auto session, memory_->Describe(name));
        SetSession(name, session, response->mutable_session());
        return absl::OkStatus();
      });
}

ServerUnaryReactor* MemoryService::GetSession(
    CallbackServerContext* context, const v1::GetSessionRequest* request,
    v1::GetSessionResponse* response) {
  return door_->Serve(
      context, CallOf("GetSession", Priority::kRead, request, response),
      [=, this](const Cancelled&) -> absl::Status {
        ASSIGN_OR_RETURN(const SessionName name,
                         SessionName::Parse(request->session()));
        ASSIGN_OR_RETURN(const auto session, memory_->Describe(name));
        SetSession(name, session, response->mutable_session());
        return absl::OkStatus();
      });
}

ServerUnaryReactor* MemoryService::ListSessions(
    CallbackServerContext* context, const v1::ListSessionsRequest* request,
    v1::ListSessionsResponse* response) {
  return door_->Serve(context,
                      {.method = "ListSessions",
                       .session = request->parent(),
                       .priority = Priority::kRead,
                       .request = request,
                       .response = response},
                      [=, this](const Cancelled& cancelled) {
                        return List(*request, response, cancelled);
                      });
}

ServerUnaryReactor* MemoryService::DeleteSession(
    CallbackServerContext* context, const v1::DeleteSessionRequest* request,
    v1::DeleteSessionResponse* response) {
  return door_->Serve(
      context, CallOf("DeleteSession", Priority::kWrite, request, response),
      [=, this](const Cancelled&) -> absl::Status {
        ASSIGN_OR_RETURN(const SessionName name,
                         SessionName::Parse(request->session()));
        ASSIGN_OR_RETURN(*response->mutable_operation(), memory_->Delete(name));
        return absl::OkStatus();
      });
}

ServerUnaryReactor* MemoryService::UpdateSession(
    CallbackServerContext* context, const v1::UpdateSessionRequest* request,
    v1::UpdateSessionResponse* response) {
  return door_->Serve(
      context, CallOf("UpdateSession", Priority::kWrite, request, response),
      [=, this](const Cancelled&) -> absl::Status {
        ASSIGN_OR_RETURN(const SessionName name,
                         SessionName::Parse(request->session()));
        int64_t ttl_us = 0;
        if (request->has_ttl()) {
          ASSIGN_OR_RETURN(ttl_us, TtlFromProto(request->ttl()));
        }
        RETURN_IF_ERROR(memory_->SetTtl(name, ttl_us));
        ASSIGN_OR_RETURN(const auto session, memory_->Describe(name));
        SetSession(name, session, response->mutable_session());
        return absl::OkStatus();
      });
}

ServerUnaryReactor* MemoryService::DeleteNamespace(
    CallbackServerContext* context, const v1::DeleteNamespaceRequest* request,
    v1::DeleteNamespaceResponse* response) {
  return door_->Serve(
      context,
      {.method = "DeleteNamespace",
       .session = request->parent(),
       .priority = Priority::kWrite,
       .request = request,
       .response = response},
      [=, this](const Cancelled&) -> absl::Status {
        ASSIGN_OR_RETURN(const std::string space,
                         memory::ParseNamespace(request->parent()));
        ASSIGN_OR_RETURN(const auto deleted, memory_->DeleteNamespace(space));
        response->set_sessions(deleted.sessions);
        response->set_operation(deleted.operation);
        return absl::OkStatus();
      });
}

ServerUnaryReactor* MemoryService::GetOperation(
    CallbackServerContext* context, const v1::GetOperationRequest* request,
    v1::GetOperationResponse* response) {
  return door_->Serve(context,
                      {.method = "GetOperation",
                       .session = request->name(),
                       .priority = Priority::kRead,
                       .request = request,
                       .response = response},
                      [=, this](const Cancelled&) -> absl::Status {
                        ASSIGN_OR_RETURN(
                            const auto operation,
                            memory_->FindOperation(request->name()));
                        SetOperation(operation, response->mutable_operation());
                        return absl::OkStatus();
                      });
}

ServerUnaryReactor* MemoryService::GetCompressiveState(
    CallbackServerContext* context,
    const v1::GetCompressiveStateRequest* request,
    v1::GetCompressiveStateResponse* response) {
  return door_->Serve(
      context,
      CallOf("GetCompressiveState", Priority::kRead, request, response),
      [=, this](const Cancelled&) -> absl::Status {
        ASSIGN_OR_RETURN(const auto session, Find(request->session()));
        const memory::Profile& profile = session->header().profile;
        RETURN_IF_ERROR(CheckCompressiveFits(profile));
        ASSIGN_OR_RETURN(const auto read,
                         session->CompressiveState(request->layer(),
                                                   request->known_version()));
        SetCompressiveRead(read, profile, response);
        return absl::OkStatus();
      });
}

ServerUnaryReactor* MemoryService::CommitWindow(
    CallbackServerContext* context, const v1::CommitWindowRequest* request,
    v1::CommitWindowResponse* response) {
  return door_->Serve(
      context, CallOf("CommitWindow", Priority::kWrite, request, response),
      [=, this](const Cancelled& cancelled) -> absl::Status {
        ASSIGN_OR_RETURN(const auto session, Find(request->session()));
        ASSIGN_OR_RETURN(
            const auto result,
            session->CommitWindow(request->keep_tokens(),
                                  ExpectedSeqOf(*request), cancelled));
        memory_->Changed(session);  // There may be more to seal.
        response->set_committed_tokens(result.committed_tokens);
        response->set_window_tokens(result.window_tokens);
        response->set_knn_tokens(result.knn_tokens);
        return absl::OkStatus();
      });
}

ServerUnaryReactor* MemoryService::ReadTokens(
    CallbackServerContext* context, const v1::ReadTokensRequest* request,
    v1::ReadTokensResponse* response) {
  return door_->Serve(
      context, CallOf("ReadTokens", Priority::kRead, request, response),
      [=, this](const Cancelled&) -> absl::Status {
        ASSIGN_OR_RETURN(const auto query, TokensQueryFromProto(*request));
        ASSIGN_OR_RETURN(const auto session, Find(request->session()));
        ASSIGN_OR_RETURN(const auto result, session->ReadTokens(query));
        SetTokensResult(result, session->header().profile, query.tensors,
                        response);
        return absl::OkStatus();
      });
}

ServerUnaryReactor* MemoryService::GetProfile(
    CallbackServerContext* context, const v1::GetProfileRequest* request,
    v1::GetProfileResponse* response) {
  return door_->Serve(context,
                      {.method = "GetProfile",
                       .session = {},
                       .priority = Priority::kRead,
                       .request = request,
                       .response = response},
                      [=](const Cancelled&) -> absl::Status {
                        ASSIGN_OR_RETURN(
                            const memory::Preset* preset,
                            memory::FindPreset(request->name(), "name"));
                        return SetPreset(*preset, response->mutable_preset());
                      });
}

ServerUnaryReactor* MemoryService::ListProfiles(
    CallbackServerContext* context, const v1::ListProfilesRequest* request,
    v1::ListProfilesResponse* response) {
  return door_->Serve(
      context,
      {.method = "ListProfiles",
       .session = {},
       .priority = Priority::kRead,
       .request = request,
       .response = response},
      [=](const Cancelled&) -> absl::Status {
        for (const memory::Preset& preset : memory::Presets()) {
          RETURN_IF_ERROR(SetPreset(preset, response->add_presets()));
        }
        return absl::OkStatus();
      });
}

// A verification reads everything; it lets reads go first.
ServerUnaryReactor* MemoryService::Verify(CallbackServerContext* context,
                                          const v1::VerifyRequest* request,
                                          v1::VerifyResponse* response) {
  return door_->Serve(
      context, CallOf("Verify", Priority::kWrite, request, response),
      [=, this](const Cancelled& cancelled) -> absl::Status {
        ASSIGN_OR_RETURN(const auto session, Find(request->session()));
        ASSIGN_OR_RETURN(const auto checks, session->Verify(cancelled));
        SetChecks(checks, response);
        return absl::OkStatus();
      });
}

ServerUnaryReactor* MemoryService::Stats(CallbackServerContext* context,
                                         const v1::StatsRequest* request,
                                         v1::StatsResponse* response) {
  // What the others have is not everybody's business.
  const bool all = door_->May(*context, Scope::kRead, kEverywhere);
  return door_->Serve(
      context, CallOf("Stats", Priority::kRead, request, response),
      [=, this](const Cancelled&) -> absl::Status {
        if (!request->session().empty()) {
          ASSIGN_OR_RETURN(const auto session, Find(request->session()));
          SetSessionStats(session->Counts(), response->mutable_session());
        }
        if (all) {
          SetServerStats(response->mutable_server());
        } else {
          response->mutable_server()->set_version(MNEME_VERSION);
        }
        return absl::OkStatus();
      });
}

absl::StatusOr<std::shared_ptr<memory::Session>> MemoryService::Find(
    const std::string& name) const {
  ASSIGN_OR_RETURN(const SessionName parsed, SessionName::Parse(name));
  return memory_->Find(parsed);
}

absl::Status MemoryService::ForkTo(const v1::ForkSessionRequest& request,
                                   v1::Session* fork) const {
  ASSIGN_OR_RETURN(const SessionName name,
                   SessionName::Parse(request.session()));
  const auto fork_name = SessionName::Parse(request.fork());
  if (!fork_name.ok() || fork_name->space != name.space) {
    return InvalidField(
        "fork", base::Quoted(request.fork()),
        absl::StrCat("namespaces/", name.space,
                     "/sessions/{session}: a name in the same namespace"));
  }
  std::optional<uint64_t> at_seq;
  if (request.has_at_seq()) at_seq = request.at_seq();
  std::optional<int64_t> ttl_us;
  if (request.has_ttl()) {
    ASSIGN_OR_RETURN(ttl_us, TtlFromProto(request.ttl()));
  }
  RETURN_IF_ERROR(memory_->Fork(name, *fork_name, at_seq, ttl_us));
  ASSIGN_OR_RETURN(const auto session, memory_->Describe(*fork_name));
  SetSession(*fork_name, session, fork);
  return absl::OkStatus();
}

absl::Status MemoryService::AppendTo(const v1::AppendRequest& request,
                                     const Cancelled& cancelled,
                                     v1::AppendResponse* response) const {
  ASSIGN_OR_RETURN(const auto options, AppendOptionsFromProto(request));
  ASSIGN_OR_RETURN(const auto session, Find(request.session()));
  memory::AppendResult result;
  switch (request.payload_case()) {
    case v1::AppendRequest::kText: {
      ASSIGN_OR_RETURN(const auto entry, TextEntryFromProto(request.text()));
      ASSIGN_OR_RETURN(result, session->AppendText(entry, options, cancelled));
      break;
    }
    case v1::AppendRequest::kTokens: {
      ASSIGN_OR_RETURN(
          const auto rows,
          TokenRowsFromProto(request.tokens(), session->header().profile));
      ASSIGN_OR_RETURN(result, session->AppendTokens(rows, options, cancelled));
      break;
    }
    default:
      return InvalidField("payload", "nothing", "text or tokens");
  }
  if (!result.replayed) {
    metrics_->Appended(result.seq_next - result.seq_first, result.bytes);
    limits_->Appended(session->header().name.space, result.bytes);
    memory_->Changed(session);
  }
  SetAppendResult(result, response);
  return absl::OkStatus();
}

absl::Status MemoryService::ExistsWith(const SessionName& name,
                                       const memory::Profile& given,
                                       const absl::Status& exists) const {
  const auto session = memory_->Describe(name);
  const auto complete = memory::Complete(given);
  if (!session.ok() || !complete.ok()) return exists;
  const ProfileDifference difference =
      FirstDifference(*complete, session->profile);
  if (difference.field.empty()) return exists;
  base::ErrorDetail detail = base::DetailOf(exists);
  detail.field = absl::StrCat("profile.", difference.field);
  return base::Error(
      absl::StatusCode::kAlreadyExists,
      absl::StrCat(std::string(exists.message()), ", and ", detail.field,
                   " cannot be changed: got ", difference.given,
                   "; the session has ", difference.existing),
      detail);
}

absl::Status MemoryService::AttendOver(const v1::AttendRequest& request,
                                       v1::AttendResponse* response,
                                       const Cancelled& cancelled) const {
  ASSIGN_OR_RETURN(const auto session, Find(request.session()));
  const memory::Profile& profile = session->header().profile;
  ASSIGN_OR_RETURN(const auto query, AttendQueryFromProto(request, profile));
  ASSIGN_OR_RETURN(const auto result, session->Attend(query, cancelled));
  for (const memory::LayerOutput& output : result.outputs) {
    metrics_->Attended(output.shares);
  }
  SetAttendResult(result, profile, response);
  return absl::OkStatus();
}

absl::Status MemoryService::List(const v1::ListSessionsRequest& request,
                                 v1::ListSessionsResponse* response,
                                 const Cancelled& cancelled) const {
  ASSIGN_OR_RETURN(const std::string space,
                   memory::ParseNamespace(request.parent()));
  ASSIGN_OR_RETURN(const size_t page_size, PageSizeOf(request));
  ASSIGN_OR_RETURN(const std::string after,
                   DecodePageToken(request.page_token(), space));
  std::vector<SessionName> names = memory_->List(space, after, page_size + 1);
  if (names.size() > page_size) {  // One more than asked: there is a next page.
    names.pop_back();
    response->set_next_page_token(EncodePageToken(names.back()));
  }
  size_t bytes = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    const SessionName& name = names[i];
    if (cancelled()) return absl::CancelledError("the caller is gone");
    // Profiles may have long lists: a page ends before it outgrows a message.
    if (bytes > kListBytesMax) {
      response->set_next_page_token(EncodePageToken(names[i - 1]));
      break;
    }
    const auto session = memory_->Describe(name);
    if (absl::IsNotFound(session.status())) continue;  // Deleted meanwhile.
    v1::Session* proto = response->add_sessions();
    if (session.ok()) {
      SetSession(name, *session, proto);
    } else {
      proto->set_name(name.ToString());
    }
    bytes += proto->ByteSizeLong();
  }
  return absl::OkStatus();
}

void MemoryService::SetServerStats(v1::ServerStats* stats) const {
  const memory::Memory::Counts counts = memory_->Count();
  stats->set_version(MNEME_VERSION);
  stats->set_sessions(counts.sessions);
  stats->set_open_sessions(counts.open_sessions);
  stats->set_disk_bytes(counts.disk_bytes);
  stats->set_resident_bytes(ResidentBytes());
  stats->set_uptime_seconds(
      std::chrono::duration<double>(clock_->Ticks() - started_).count());
  stats->set_kernel_target(std::string(attention::KernelTarget()));
}

}  // namespace mneme::service
