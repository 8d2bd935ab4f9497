// service/door.h: everything around a method, once.
// Who is admitted and when, until when it may run, what is counted and logged,
// and how an error or an exception becomes a status on the wire.

#ifndef MNEME_SERVICE_DOOR_H_
#define MNEME_SERVICE_DOOR_H_

#include <google/protobuf/message_lite.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/clock.h"
#include "memory/types.h"
#include "service/executor.h"
#include "service/limits.h"
#include "service/metrics.h"
#include "service/trace_context.h"

namespace mneme::service {

// One request, for the queue, the log and the metrics.
// Lifetime: messages and `method` outlive the request; `method` is a literal.
struct Call {
  std::string_view method;
  std::string_view session;  // As the request names it; copied.
  Executor::Priority priority = Executor::Priority::kRead;
  const google::protobuf::MessageLite* request = nullptr;
  const google::protobuf::MessageLite* response = nullptr;
  bool quiet = false;  // Success is logged at debug level: a step of a stream.
  TraceSpan trace = {};  // From EchoTrace; Serve sets it.
  Limits::Charge charge = Limits::Charge::kNothing;
  // Where to put what the answer holds of its namespace's limits; whoever owns
  // it clears it when the answer has left. Null: given back after `done`.
  std::shared_ptr<void>* held = nullptr;
};

// Threads:  any.
class Door {
 public:
  // Computes the answer into the response. It is asked to give up, with
  // CANCELLED, when `cancelled` says that nobody waits any more.
  using Work = std::function<absl::Status(const memory::Cancelled& cancelled)>;

  // Lifetime: all outlive the door.
  Door(Executor* executor, Metrics* metrics, Limits* limits,
       const base::Clock* clock)
      : executor_(executor),
        metrics_(metrics),
        limits_(limits),
        clock_(clock) {}

  // Answers a unary method: `work` runs on the executor, its status finishes
  // the context's default reactor.
  // Errors:   what Admit says goes to the caller.
  grpc::ServerUnaryReactor* Serve(grpc::CallbackServerContext* context,
                                  const Call& call, Work work);

  // Runs `work` on the executor, then `done` with its status; when it is not
  // admitted, `done` runs at once. Exactly one call of `done` in either case.
  // Errors:   those of Limits; RESOURCE_EXHAUSTED QUEUE_FULL; UNAVAILABLE
  //           DRAINING;
  //           DEADLINE_EXCEEDED or CANCELLED when nobody waits any more;
  //           INTERNAL for any exception.
  // Lifetime: the context lives until `done` has been called.
  void Admit(grpc::CallbackServerContext* context, const Call& call, Work work,
             std::function<void(const absl::Status&)> done);

  // Echoes the caller's x-request-id, so that both logs can be joined.
  static void EchoRequestId(grpc::CallbackServerContext* context);

  // Answers the caller's trace context with a span of ours in its trace, which
  // is returned for the log; empty when there is none, or a malformed one.
  TraceSpan EchoTrace(grpc::CallbackServerContext* context);

 private:
  absl::Status Run(grpc::CallbackServerContext* context, const Call& call,
                   const Work& work) const;
  void Account(const Call& call, const std::string& session,
               const std::string& request_id, const absl::Status& status,
               std::chrono::steady_clock::time_point begin) const;

  Executor* const executor_;
  Metrics* const metrics_;
  Limits* const limits_;
  const base::Clock* const clock_;
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_DOOR_H_
