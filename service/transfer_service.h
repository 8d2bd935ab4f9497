// service/transfer_service.h: the methods of mneme.v1.TransferService.

#ifndef MNEME_SERVICE_TRANSFER_SERVICE_H_
#define MNEME_SERVICE_TRANSFER_SERVICE_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <cstddef>

#include "memory/memory.h"
#include "mneme/v1/transfer_service.grpc.pb.h"
#include "service/door.h"
#include "service/limits.h"
#include "service/stream_slots.h"

namespace mneme::service {

// Threads:  any.
class TransferService final : public v1::TransferService::CallbackService {
 public:
  // Each holds a part of 1 MiB or a message, and an import a block of the log.
  static constexpr size_t kStreamsMax = 32;

  // Lifetime: all three outlive the service.
  TransferService(memory::Memory* memory, Door* door, Limits* limits)
      : memory_(memory), door_(door), limits_(limits), slots_(kStreamsMax) {}

  grpc::ServerWriteReactor<v1::ExportSessionResponse>* ExportSession(
      grpc::CallbackServerContext* context,
      const v1::ExportSessionRequest* request) override;
  grpc::ServerReadReactor<v1::ImportSessionRequest>* ImportSession(
      grpc::CallbackServerContext* context,
      v1::ImportSessionResponse* response) override;

  // Streams that are open.
  size_t streams() const { return slots_.open(); }

 private:
  memory::Memory* const memory_;
  Door* const door_;
  Limits* const limits_;
  StreamSlots slots_;
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_TRANSFER_SERVICE_H_
