// service/transfer_service.h: the methods of mneme.v1.TransferService.

#ifndef MNEME_SERVICE_TRANSFER_SERVICE_H_
#define MNEME_SERVICE_TRANSFER_SERVICE_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <cstddef>

#include "base/clock.h"
#include "memory/memory.h"
#include "mneme/v1/transfer_service.grpc.pb.h"
#include "service/door.h"
#include "service/limits.h"
#include "service/open_stream.h"

namespace mneme::service {

// Threads:  any.
class TransferService final : public v1::TransferService::CallbackService {
 public:
  // Each holds a part of 1 MiB or a message, and an import a block of the log.
  static constexpr size_t kStreamsMax = 32;

  // Lifetime: all four outlive the service.
  TransferService(memory::Memory* memory, Door* door, Limits* limits,
                  const base::Clock* clock)
      : memory_(memory),
        door_(door),
        limits_(limits),
        streams_(clock, kStreamsMax) {}

  // See OpenStreams.
  void Drain() { streams_.Drain(); }
  void EndIdleStreams(std::chrono::steady_clock::duration idle) {
    streams_.EndIdle(idle);
  }
  size_t open_streams() const { return streams_.size(); }

  grpc::ServerWriteReactor<v1::ExportSessionResponse>* ExportSession(
      grpc::CallbackServerContext* context,
      const v1::ExportSessionRequest* request) override;
  grpc::ServerReadReactor<v1::ImportSessionRequest>* ImportSession(
      grpc::CallbackServerContext* context,
      v1::ImportSessionResponse* response) override;

 private:
  memory::Memory* const memory_;
  Door* const door_;
  Limits* const limits_;
  OpenStreams streams_;
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_TRANSFER_SERVICE_H_
