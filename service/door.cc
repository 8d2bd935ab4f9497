#include "service/door.h"

#include <chrono>
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
  const std::string session(call.session.substr(0, kLoggedBytes));
  const std::string request_id = RequestIdOf(*context);
  const auto request_bytes = static_cast<size_t>(BytesOf(call.request));
  const auto ticket =
      limits_->Admit(NamespaceOf(call.session), call.charge, request_bytes);
  absl::Status admitted = ticket.status();
  if (ticket.ok()) {
    if (call.held != nullptr) *call.held = *ticket;
    admitted = executor_->Submit(
        call.priority, request_bytes,
        [this, context, call, session, request_id, begin, ticket = *ticket,
         work = std::move(work), done] {
          const absl::Status status = Run(context, call, work);
          Account(call, session, request_id, status, begin);
          if (ticket) {
            ticket->Answered(status.ok() ? BytesOf(call.response) : 0);
          }
          done(status);
        });
  }
  if (admitted.ok()) return;
  Account(call, session, request_id, admitted, begin);
  done(admitted);
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

void Door::Account(const Call& call, const std::string& session,
                   const std::string& request_id, const absl::Status& status,
                   std::chrono::steady_clock::time_point begin) const {
  const double seconds =
      std::chrono::duration<double>(clock_->Ticks() - begin).count();
  metrics_->Ended(call.method, status, seconds);
  base::Log(LevelOf(status.code(), call.quiet), "request",
            {{"method", std::string(call.method)},
             {"session", session},
             {"request_id", request_id},
             {"trace", call.trace.trace_id},
             {"span", call.trace.span_id},
             {"code", absl::StatusCodeToString(status.code())},
             {"reason", base::DetailOf(status).reason},
             {"ms", seconds * 1000},
             {"bytes_in", BytesOf(call.request)},
             {"bytes_out", status.ok() ? BytesOf(call.response) : 0}});
}

}  // namespace mneme::service
