#include "service/door.h"

#include <exception>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/log.h"
#include "proto/status.h"
#include "service/credentials.h"
#include "service/method_scope.h"

namespace mneme::service {
namespace {

constexpr char kRequestIdKey[] = "x-request-id";

// Longer names are not valid, and a log line is not a place for a megabyte.
constexpr size_t kLoggedBytes = 160;

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
                                      const Call& call, Work work) {
  EchoRequestId(context);
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
    const auto request_bytes = static_cast<size_t>(BytesOf(call.request));
    admitted = executor_->Submit(
        call.priority, request_bytes,
        [this, context, call, visit, work = std::move(work), done] {
          const absl::Status status = Run(context, work);
          Account(call, visit, status);
          done(status);
        });
  }
  if (admitted.ok()) return;
  Account(call, visit, admitted);
  done(admitted);
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

absl::Status Door::Run(grpc::CallbackServerContext* context,
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
  metrics_->Ended(call.method, status.code(), seconds);
  base::Log(LevelOf(status.code(), call.quiet), "request",
            {{"method", std::string(call.method)},
             {"session", visit.session},
             {"caller", visit.caller},
             {"request_id", visit.request_id},
             {"code", absl::StatusCodeToString(status.code())},
             {"reason", base::DetailOf(status).reason},
             {"ms", seconds * 1000},
             {"bytes_in", BytesOf(call.request)},
             {"bytes_out", status.ok() ? BytesOf(call.response) : 0}});
}

}  // namespace mneme::service
