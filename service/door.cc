#include "service/door.h"

#include <exception>
#include <iterator>
#include <new>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/error.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "proto/status.h"
#include "service/credentials.h"
#include "service/method_scope.h"
#include "service/unary_call.h"

namespace mneme::service {
namespace {

constexpr char kRequestIdKey[] = "x-request-id";
constexpr char kTraceParentKey[] = "traceparent";
constexpr char kTraceStateKey[] = "tracestate";

// Longer names are not valid, and a log line is not a place for a megabyte.
constexpr size_t kLoggedBytes = 160;

std::string TextOf(grpc::string_ref text) { return {text.data(), text.size()}; }

std::string RequestIdOf(const grpc::CallbackServerContext& context) {
  const auto& metadata = context.client_metadata();
  const auto it = metadata.find(kRequestIdKey);
  if (it == metadata.end()) return "";
  return std::string(it->second.data(),
                     std::min(it->second.size(), kLoggedBytes));
}

absl::Status Reasoned(absl::StatusCode code, std::string_view message,
                      const std::string& reason) {
  return base::Error(
      code, message,
      {.reason = reason, .field = "", .metadata = {}, .retry_after = {}});
}

base::LogLevel LevelOf(absl::StatusCode code, bool quiet) {
  switch (code) {
    case absl::StatusCode::kOk:
      return quiet ? base::LogLevel::kDebug : base::LogLevel::kInfo;
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDataLoss:
      return base::LogLevel::kError;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
      return base::LogLevel::kWarning;
    default:
      return base::LogLevel::kInfo;
  }
}

int64_t BytesOf(const google::protobuf::MessageLite* message) {
  return message == nullptr ? 0 : static_cast<int64_t>(message->ByteSizeLong());
}

// Whether `caller` may do what `call` does.
absl::Status CheckMay(const Caller& caller, const Call& call) {
  const MethodScope needs =
      ScopeOf(call.scope_of.empty() ? call.method : call.scope_of);
  switch (needs.where) {
    case Where::kEverywhere:
      return CheckPermitted(caller, needs.scope, kEverywhere);
    case Where::kNamedOrNone:
      if (call.session.empty()) return absl::OkStatus();
      [[fallthrough]];
    case Where::kNamed:
      break;
  }
  return CheckPermitted(caller, needs.scope, NamespaceOf(call.session));
}

}  // namespace

grpc::ServerUnaryReactor* Door::Serve(grpc::CallbackServerContext* context,
                                      const Call& unary, Work work) {
  EchoRequestId(context);
  Call call = unary;
  call.trace = EchoTrace(context);
  if (CallOwned* const own = CallOwned::Of(*context)) call.held = &own->owned;
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  Admit(context, call, std::move(work), [reactor](const absl::Status& status) {
    reactor->Finish(proto::ToGrpc(status));
  });
  return reactor;
}

void Door::Admit(grpc::CallbackServerContext* context, const Call& call,
                 Work work, std::function<void(const absl::Status&)> done) {
  const auto begin = clock_->Ticks();
  metrics_->Began();
  Visit visit{.session = std::string(call.session.substr(0, kLoggedBytes)),
              .request_id = RequestIdOf(*context),
              .begin = begin};
  const auto caller = CallerOf(*context);
  absl::Status admitted = caller.status();
  if (caller.ok()) {
    visit.caller = caller->name;
    admitted = CheckMay(*caller, call);
  }
  if (admitted.ok()) {
    admitted = Submit(context, call, visit, std::move(work), done);
  }
  if (admitted.ok()) return;
  Account(call, visit, admitted);
  done(admitted);
}

absl::StatusOr<std::string> Door::Greet(grpc::CallbackServerContext* context,
                                        std::string_view method,
                                        const TraceSpan& trace) const {
  const auto begin = clock_->Ticks();
  const auto caller = CallerOf(*context);
  if (caller.ok()) return caller->name;
  metrics_->Began();
  Account({.method = method, .session = {}, .trace = trace},
          {.request_id = RequestIdOf(*context), .begin = begin},
          caller.status());
  return caller.status();
}

absl::Status Door::Submit(grpc::CallbackServerContext* context,
                          const Call& call, const Visit& visit, Work work,
                          std::function<void(const absl::Status&)> done) {
  const auto request_bytes = static_cast<size_t>(BytesOf(call.request));
  ASSIGN_OR_RETURN(
      const auto ticket,
      limits_->Admit(NamespaceOf(call.session), call.charge, request_bytes));
  if (call.held != nullptr) *call.held = ticket;
  return executor_->Submit(
      call.priority, request_bytes,
      [this, context, call, visit, ticket, work = std::move(work),
       done = std::move(done)] {
        const absl::Status status = Run(context, call, work);
        Account(call, visit, status);
        if (ticket) ticket->Answered(status.ok() ? BytesOf(call.response) : 0);
        done(status);
      });
}

absl::StatusOr<Caller> Door::CallerOf(
    const grpc::CallbackServerContext& context) const {
  if (access_ == nullptr) {
    return Caller{.name = "",
                  .grants = {{std::string(kEverywhere), Scope::kAdmin}}};
  }
  return access_->Authenticate(CredentialsOf(context));
}

bool Door::May(const grpc::CallbackServerContext& context, Scope scope,
               std::string_view space) const {
  const auto caller = CallerOf(context);
  return caller.ok() && Permits(caller->grants, scope, space);
}

void Door::EchoRequestId(grpc::CallbackServerContext* context) {
  const std::string request_id = RequestIdOf(*context);
  if (!request_id.empty()) {
    context->AddInitialMetadata(kRequestIdKey, request_id);
  }
}

TraceSpan Door::EchoTrace(grpc::CallbackServerContext* context) {
  const auto& metadata = context->client_metadata();
  const auto parents = metadata.equal_range(kTraceParentKey);
  if (parents.first == parents.second) return {};
  const auto parent = std::next(parents.first) == parents.second
                          ? ParseTraceParent(TextOf(parents.first->second))
                          : std::nullopt;  // Two of them are as good as none.
  if (!parent) {
    metrics_->MalformedTrace();
    return {};
  }
  const TraceSpan span = ChildOf(*parent);
  context->AddInitialMetadata(kTraceParentKey, FormatTraceParent(span));
  const auto states = metadata.equal_range(kTraceStateKey);
  std::vector<std::string> parts;
  for (auto it = states.first; it != states.second; ++it) {
    parts.push_back(TextOf(it->second));
  }
  const std::string state = absl::StrJoin(parts, ",");
  if (IsTraceState(state)) {
    context->AddInitialMetadata(kTraceStateKey, state);
  } else if (!parts.empty()) {
    metrics_->MalformedTrace();
  }
  return span;
}

absl::Status Door::Run(grpc::CallbackServerContext* context, const Call& call,
                       const Work& work) const {
  const auto deadline = context->deadline();
  const auto late = [this, deadline] { return clock_->Now() >= deadline; };
  const memory::Cancelled cancelled = [context, &late] {
    return context->IsCancelled() || late();
  };
  const auto gone = [&late] {
    return late() ? Reasoned(absl::StatusCode::kDeadlineExceeded,
                             "the deadline passed before the answer",
                             "DEADLINE_EXCEEDED")
                  : Reasoned(absl::StatusCode::kCancelled, "the caller is gone",
                             "CANCELLED");
  };
  try {
    if (cancelled()) return gone();
    // Held until the work is done.
    ASSIGN_OR_RETURN(
        const auto room,
        limits_->CheckRoom(NamespaceOf(call.session), call.charge));
    absl::Status status = work(cancelled);
    // Work knows only that it was told to stop.
    return absl::IsCancelled(status) ? gone() : status;
  } catch (const std::bad_alloc&) {
    return Reasoned(absl::StatusCode::kInternal,
                    "out of memory while answering", "OUT_OF_MEMORY");
  } catch (const std::exception& error) {
    return Reasoned(absl::StatusCode::kInternal,
                    absl::StrCat("an unforeseen failure: ", error.what()),
                    "UNFORESEEN");
  } catch (...) {
    return Reasoned(absl::StatusCode::kInternal, "an unforeseen failure",
                    "UNFORESEEN");
  }
}

void Door::Account(const Call& call, const Visit& visit,
                   const absl::Status& status) const {
  const double seconds =
      std::chrono::duration<double>(clock_->Ticks() - visit.begin).count();
  metrics_->Ended(call.method, status, seconds);
  base::Log(LevelOf(status.code(), call.quiet), "request",
            {{"method", std::string(call.method)},
             {"session", visit.session},
             {"caller", visit.caller},
             {"request_id", visit.request_id},
             {"trace", call.trace.trace_id},
             {"span", call.trace.span_id},
             {"code", absl::StatusCodeToString(status.code())},
             {"reason", base::DetailOf(status).reason},
             {"ms", seconds * 1000},
             {"bytes_in", BytesOf(call.request)},
             {"bytes_out", status.ok() ? BytesOf(call.response) : 0}});
}

}  // namespace mneme::service
