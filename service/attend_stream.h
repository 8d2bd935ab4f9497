// service/attend_stream.h: a decode loop's stream, one step at a time.

#ifndef MNEME_SERVICE_ATTEND_STREAM_H_
#define MNEME_SERVICE_ATTEND_STREAM_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "memory/types.h"
#include "mneme/v1/memory_service.pb.h"
#include "service/door.h"
#include "service/open_stream.h"

namespace mneme::service {

// Reads a step, has it answered on the executor, writes the answer, reads the
// next. So one step is in flight, and a client that does not read its answers
// holds one message here.
class AttendStream final
    : public grpc::ServerBidiReactor<v1::AttendStreamRequest,
                                     v1::AttendStreamResponse>,
      public OpenStream {
 public:
  using Step = std::function<absl::Status(
      const v1::AttendStreamRequest& request,
      v1::AttendStreamResponse* response, const memory::Cancelled& cancelled)>;

  // Starts a stream that answers with `step` and deletes itself when gRPC is
  // done with it, also when the client vanishes.
  // Lifetime: door and streams outlive it.
  static AttendStream* Start(grpc::CallbackServerContext* context, Door* door,
                             OpenStreams* streams, Step step);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone() override;

 private:
  AttendStream(grpc::CallbackServerContext* context, Door* door,
               OpenStreams* streams, Step step);
  void FinishNow(const grpc::Status& status) override { Finish(status); }
  void ReadStep();
  void Work();

  grpc::CallbackServerContext* const context_;
  Door* const door_;
  const Step step_;
  v1::AttendStreamRequest request_;
  v1::AttendStreamResponse response_;
  std::shared_ptr<void> held_;  // By the step, until its answer has left.
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_ATTEND_STREAM_H_
