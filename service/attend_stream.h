// service/attend_stream.h: a decode loop's stream, one step at a time.

#ifndef MNEME_SERVICE_ATTEND_STREAM_H_
#define MNEME_SERVICE_ATTEND_STREAM_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "memory/types.h"
#include "mneme/v1/memory_service.pb.h"
#include "service/door.h"

namespace mneme::service {

class AttendStream;

// The streams that are open, so that there are not too many and a server that
// stops need not wait for idle ones.
// Threads:  any.
class AttendStreams {
 public:
  // An idle stream costs some kilobytes, one at work at most two messages.
  static constexpr size_t kStreamsMax = 1024;

  // A decode loop asks many times a second, and a person's pauses are shorter.
  static constexpr std::chrono::seconds kIdle{600};

  // Lifetime: `clock` outlives the streams.
  explicit AttendStreams(const base::Clock* clock,
                         size_t streams_max = kStreamsMax)
      : clock_(clock), streams_max_(streams_max) {}

  // Ends, with DEADLINE_EXCEEDED STREAM_IDLE, those that for so long have sent
  // no step.
  void EndIdle(std::chrono::steady_clock::duration idle);

  // Ends idle streams with UNAVAILABLE DRAINING, busy ones after their step;
  // refuses new ones.
  void Drain();

  size_t size() const;

 private:
  friend class AttendStream;
  // Errors:   UNAVAILABLE DRAINING; RESOURCE_EXHAUSTED TOO_MANY_STREAMS.
  absl::Status Add(const std::shared_ptr<AttendStream>& stream);
  void Remove(AttendStream* stream);

  std::vector<std::shared_ptr<AttendStream>> Open() const;

  const base::Clock* const clock_;
  const size_t streams_max_;
  mutable base::Mutex mutex_;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<AttendStream*, std::weak_ptr<AttendStream>> open_
      ABSL_GUARDED_BY(mutex_);
};

// Reads a step, has it answered on the executor, writes the answer, reads the
// next. So one step is in flight, and a client that does not read its answers
// holds one message here.
class AttendStream final
    : public grpc::ServerBidiReactor<v1::AttendStreamRequest,
                                     v1::AttendStreamResponse> {
 public:
  using Step = std::function<absl::Status(
      const v1::AttendStreamRequest& request,
      v1::AttendStreamResponse* response, const memory::Cancelled& cancelled)>;

  // Starts a stream that answers with `step` and deletes itself when gRPC is
  // done with it, also when the client vanishes.
  // Lifetime: door and streams outlive it.
  static AttendStream* Start(grpc::CallbackServerContext* context, Door* door,
                             AttendStreams* streams, Step step);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone() override;

 private:
  friend class AttendStreams;
  // Who may call Finish: the one that moves the state to kFinished. gRPC may
  // run reactions inside Finish, so it is never called under the mutex.
  enum class State { kReading, kWorking, kFinished };

  AttendStream(grpc::CallbackServerContext* context, Door* door,
               AttendStreams* streams, Step step);
  void Work();
  void FinishOnce(const absl::Status& status);
  void Drain();
  void EndIfIdleSince(std::chrono::steady_clock::time_point moment);

  grpc::CallbackServerContext* const context_;
  Door* const door_;
  AttendStreams* const streams_;
  const Step step_;
  std::shared_ptr<AttendStream> self_;  // Until OnDone.
  TraceSpan trace_;
  v1::AttendStreamRequest request_;
  v1::AttendStreamResponse response_;
  std::shared_ptr<void> held_;  // By the step, until its answer has left.

  base::Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kReading;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  // When it began to wait for the step.
  std::chrono::steady_clock::time_point waiting_since_ ABSL_GUARDED_BY(mutex_);
  uint64_t steps_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status end_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_ATTEND_STREAM_H_
