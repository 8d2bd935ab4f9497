// service/import_stream.h: a session on its way in, one part at a time.

#ifndef MNEME_SERVICE_IMPORT_STREAM_H_
#define MNEME_SERVICE_IMPORT_STREAM_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "memory/import.h"
#include "memory/memory.h"
#include "memory/types.h"
#include "mneme/v1/transfer_service.pb.h"
#include "service/door.h"
#include "service/limits.h"
#include "service/open_stream.h"

namespace mneme::service {

// Reads a part, has it imported on the executor, reads the next: one part is
// held here at a time. The session exists when the client has half-closed the
// stream behind the end; on any error, or when the client vanishes, nothing is
// left.
class ImportStream final
    : public grpc::ServerReadReactor<v1::ImportSessionRequest>,
      public OpenStream {
 public:
  // Starts a stream that deletes itself when gRPC is done with it.
  // Lifetime: all but the context and the response outlive it.
  static ImportStream* Start(grpc::CallbackServerContext* context, Door* door,
                             OpenStreams* streams, Limits* limits,
                             memory::Memory* memory,
                             v1::ImportSessionResponse* response);

  void OnReadDone(bool ok) override;
  void OnDone() override;

 private:
  ImportStream(grpc::CallbackServerContext* context, Door* door,
               OpenStreams* streams, Limits* limits, memory::Memory* memory,
               v1::ImportSessionResponse* response);
  void FinishNow(const grpc::Status& status) override { Finish(status); }
  void ReadPart();
  void Admit(Door::Work work, bool is_last);
  absl::Status Take(const memory::Cancelled& cancelled);
  absl::Status TakePart(const memory::Cancelled& cancelled);
  absl::Status TakeStart(const v1::ImportStart& start);
  absl::Status TakeEntries(const v1::ExportedEntries& entries,
                           const memory::Cancelled& cancelled);
  absl::Status TakeTokens(const v1::ExportedTokens& tokens);
  absl::Status TakeEnd(const v1::ExportEnd& end,
                       const memory::Cancelled& cancelled);
  absl::Status MakeSession();

  grpc::CallbackServerContext* const context_;
  Door* const door_;
  Limits* const limits_;
  memory::Memory* const memory_;
  v1::ImportSessionResponse* const response_;
  // Steps follow each other, so one thread at a time has these.
  v1::ImportSessionRequest request_;
  std::string session_;
  std::shared_ptr<Limits::Creation> creation_;  // From start to the session.
  std::unique_ptr<Limits::Import> charge_;  // Given back after what it is for.
  std::unique_ptr<memory::SessionImport> import_;
  bool ended_ = false;
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_IMPORT_STREAM_H_
