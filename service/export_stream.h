// service/export_stream.h: a session on its way out, one part at a time.

#ifndef MNEME_SERVICE_EXPORT_STREAM_H_
#define MNEME_SERVICE_EXPORT_STREAM_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <memory>

#include "absl/status/status.h"
#include "memory/export.h"
#include "memory/memory.h"
#include "mneme/v1/transfer_service.pb.h"
#include "service/door.h"
#include "service/open_stream.h"

namespace mneme::service {

// Has a part computed on the executor, writes it, and begins the next one when
// gRPC has taken it: a client that does not read holds one part here.
class ExportStream final
    : public grpc::ServerWriteReactor<v1::ExportSessionResponse>,
      public OpenStream {
 public:
  // Starts a stream that deletes itself when gRPC is done with it, also when
  // the client vanishes.
  // Lifetime: all but the context outlive it.
  static ExportStream* Start(grpc::CallbackServerContext* context, Door* door,
                             OpenStreams* streams, memory::Memory* memory,
                             const v1::ExportSessionRequest* request);

  void OnWriteDone(bool ok) override;
  void OnDone() override;

 private:
  ExportStream(grpc::CallbackServerContext* context, Door* door,
               OpenStreams* streams, memory::Memory* memory,
               const v1::ExportSessionRequest* request);
  void FinishNow(const grpc::Status& status) override { Finish(status); }
  void Next();
  absl::Status Fill();
  // Whether there was an entry to put into the response.
  bool FillEntries();

  grpc::CallbackServerContext* const context_;
  Door* const door_;
  memory::Memory* const memory_;
  const v1::ExportSessionRequest* const request_;
  // Steps follow each other, so one thread at a time has these.
  std::unique_ptr<memory::SessionExport> export_;
  v1::ExportSessionResponse response_;
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_EXPORT_STREAM_H_
