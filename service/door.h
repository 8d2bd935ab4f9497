// service/door.h: everything around a method, once.
// Who may call, who is admitted and when, until when it may run, what is
// counted and logged, and how an error or an exception becomes a status on the
// wire.

#ifndef MNEME_SERVICE_DOOR_H_
#define MNEME_SERVICE_DOOR_H_

#include <google/protobuf/message_lite.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "memory/types.h"
#include "service/access.h"
#include "service/executor.h"
#include "service/limits.h"
#include "service/metrics.h"
#include "service/scope.h"
#include "service/trace_context.h"

namespace mneme::service {

// One request, for the queue, the log and the metrics.
// Lifetime: messages and `method` outlive the request; `method` is a literal.
struct Call {
  std::string_view method;
  // The name in the request: a session's, or of what the method is about. Its
  // namespace is the one that the caller needs a scope on. Copied.
  std::string_view session;
  Executor::Priority priority = Executor::Priority::kRead;
  const google::protobuf::MessageLite* request = nullptr;
  const google::protobuf::MessageLite* response = nullptr;
  bool quiet = false;  // Success is logged at debug level: a step of a stream.
  TraceSpan trace = {};  // From EchoTrace; Serve sets it.
  Limits::Charge charge = Limits::Charge::kNothing;
  // Where to put what the answer holds of its namespace's limits; whoever owns
  // it clears it when the answer has left. Null: given back after `done`.
  std::shared_ptr<void>* held = nullptr;
  std::string_view scope_of = {};  // Needs this method's scope, not its own.
};

// Threads:  any.
class Door {
 public:
  // Computes the answer into the response. It is asked to give up, with
  // CANCELLED, when `cancelled` says that nobody waits any more.
  using Work = std::function<absl::Status(const memory::Cancelled& cancelled)>;

  // Without `access`, everybody may do everything.
  // Lifetime: all of them outlive the door.
  Door(Executor* executor, Metrics* metrics, Limits* limits,
       const base::Clock* clock, Access* access = nullptr)
      : executor_(executor),
        metrics_(metrics),
        limits_(limits),
        clock_(clock),
        access_(access) {}

  // Answers a unary method: `work` runs on the executor, its status finishes
  // the context's default reactor.
  // Errors:   what Admit says goes to the caller.
  grpc::ServerUnaryReactor* Serve(grpc::CallbackServerContext* context,
                                  const Call& call, Work work);

  // Asks who calls and whether they may (method_scope.h), runs `work` on the
  // executor, then `done` with its status; when it is not admitted, `done` runs
  // at once. Exactly one call of `done` in either case.
  // Errors:   UNAUTHENTICATED and PERMISSION_DENIED, before anything is looked
  //           at or queued: see access.h; those of Limits;
  //           RESOURCE_EXHAUSTED QUEUE_FULL;
  //           UNAVAILABLE DRAINING; DEADLINE_EXCEEDED or CANCELLED when nobody
  //           waits any more; INTERNAL for any exception.
  // Lifetime: the context lives until `done` has been called.
  void Admit(grpc::CallbackServerContext* context, const Call& call, Work work,
             std::function<void(const absl::Status&)> done);

  // Who opens a stream, by name, before it has said what for; a refusal is
  // counted and logged as a request of `method`, a literal.
  // Errors:   UNAUTHENTICATED: see access.h.
  absl::StatusOr<std::string> Greet(grpc::CallbackServerContext* context,
                                    std::string_view method,
                                    const TraceSpan& trace) const;

  // Whether the caller has `scope` on `space`, for what an answer shows only to
  // some.
  bool May(const grpc::CallbackServerContext& context, Scope scope,
           std::string_view space) const;

  // Echoes the caller's x-request-id, so that both logs can be joined.
  static void EchoRequestId(grpc::CallbackServerContext* context);

  // Answers the caller's trace context with a span of ours in its trace, which
  // is returned for the log; empty when there is none, or a malformed one.
  TraceSpan EchoTrace(grpc::CallbackServerContext* context);

 private:
  absl::StatusOr<Caller> CallerOf(
      const grpc::CallbackServerContext& context) const;
  // What is remembered of a call until it is accounted for.
  struct Visit {
    std::string caller = {};
    std::string session = {};
    std::string request_id = {};
    std::chrono::steady_clock::time_point begin = {};
  };
  absl::Status Submit(grpc::CallbackServerContext* context, const Call& call,
                      const Visit& visit, Work work,
                      std::function<void(const absl::Status&)> done);
  absl::Status Run(grpc::CallbackServerContext* context, const Call& call,
                   const Work& work) const;
  void Account(const Call& call, const Visit& visit,
               const absl::Status& status) const;

  Executor* const executor_;
  Metrics* const metrics_;
  Limits* const limits_;
  const base::Clock* const clock_;
  Access* const access_;
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_DOOR_H_
