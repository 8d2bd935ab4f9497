#include "service/export_stream.h"

#include <optional>
#include <string>
#include <utility>

#include "base/status_macros.h"
#include "memory/session_name.h"
#include "service/convert_transfer.h"

namespace mneme::service {
namespace {

constexpr char kMethod[] = "ExportSession";

// Of entries or tokens in a part, before the last of them.
constexpr size_t kPartBytes = 1 << 20;

}  // namespace

ExportStream* ExportStream::Start(grpc::CallbackServerContext* context,
                                  Door* door, OpenStreams* streams,
                                  memory::Memory* memory,
                                  const v1::ExportSessionRequest* request) {
  const std::shared_ptr<ExportStream> stream(
      new ExportStream(context, door, streams, memory, request));
  if (stream->Open()) stream->Next();
  return stream.get();
}

ExportStream::ExportStream(grpc::CallbackServerContext* context, Door* door,
                           OpenStreams* streams, memory::Memory* memory,
                           const v1::ExportSessionRequest* request)
    : OpenStream(kMethod, context, door, streams),
      context_(context),
      door_(door),
      memory_(memory),
      request_(request) {}

void ExportStream::Next() {
  const bool is_first = export_ == nullptr;
  response_.Clear();
  door_->Admit(
      context_,
      {.method = kMethod,
       .session = request_->session(),
       .priority = Executor::Priority::kWrite,  // Reads go first.
       .request = request_,
       .response = &response_,
       .quiet = !is_first,
       .trace = trace()},
      [this](const memory::Cancelled&) { return Fill(); },
      [this](const absl::Status& status) {
        if (status.ok()) {
          Write([this] { StartWrite(&response_); });
        } else {
          FinishOnce(status);
        }
      });
}

absl::Status ExportStream::Fill() {
  if (!export_) {
    ASSIGN_OR_RETURN(const memory::SessionName name,
                     memory::SessionName::Parse(request_->session()));
    RETURN_IF_ERROR(Join(name.space));
    ASSIGN_OR_RETURN(auto session, memory_->Find(name));
    ASSIGN_OR_RETURN(const auto description, memory_->Describe(name));
    export_ = std::make_unique<memory::SessionExport>(std::move(session),
                                                      description.info.ttl_us);
    SetManifest(name, export_->manifest(), response_.mutable_manifest());
    return absl::OkStatus();
  }
  if (FillEntries()) return absl::OkStatus();
  if (auto rows = export_->NextRows(kPartBytes)) {
    SetExportedTokens(*std::move(rows), export_->manifest().profile,
                      response_.mutable_tokens());
    return absl::OkStatus();
  }
  response_.mutable_end()->set_entries(export_->entries());
  response_.mutable_end()->set_tokens(export_->tokens());
  return absl::OkStatus();
}

bool ExportStream::FillEntries() {
  size_t bytes = 0;
  while (bytes < kPartBytes) {
    const std::shared_ptr<const memory::Entry> entry = export_->NextEntry();
    if (!entry) break;
    v1::ExportedEntry* const proto = response_.mutable_entries()->add_entries();
    SetExportedEntry(*entry, proto);
    bytes += proto->ByteSizeLong();
  }
  return bytes > 0;
}

void ExportStream::OnWriteDone(bool ok) {
  if (!Waited(ok)) return;
  if (!ok) {
    FinishOnce(absl::CancelledError("the caller is gone"));
  } else if (response_.has_end()) {
    FinishOnce(absl::OkStatus());
  } else {
    Next();
  }
}

void ExportStream::OnDone() { Close(); }

}  // namespace mneme::service
