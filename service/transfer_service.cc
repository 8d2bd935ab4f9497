#include "service/transfer_service.h"

#include "service/export_stream.h"
#include "service/import_stream.h"

namespace mneme::service {

grpc::ServerWriteReactor<v1::ExportSessionResponse>*
TransferService::ExportSession(grpc::CallbackServerContext* context,
                               const v1::ExportSessionRequest* request) {
  return ExportStream::Start(context, door_, &streams_, memory_, request);
}

grpc::ServerReadReactor<v1::ImportSessionRequest>*
TransferService::ImportSession(grpc::CallbackServerContext* context,
                               v1::ImportSessionResponse* response) {
  return ImportStream::Start(context, door_, &streams_, limits_, memory_,
                             response);
}

}  // namespace mneme::service
