#include "service/import_stream.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "memory/session_name.h"
#include "service/convert_transfer.h"

namespace mneme::service {
namespace {

constexpr char kMethod[] = "ImportSession";

}  // namespace

ImportStream* ImportStream::Start(grpc::CallbackServerContext* context,
                                  Door* door, OpenStreams* streams,
                                  Limits* limits, memory::Memory* memory,
                                  v1::ImportSessionResponse* response) {
  const std::shared_ptr<ImportStream> stream(
      new ImportStream(context, door, streams, limits, memory, response));
  if (stream->Open()) stream->ReadPart();
  return stream.get();
}

ImportStream::ImportStream(grpc::CallbackServerContext* context, Door* door,
                           OpenStreams* streams, Limits* limits,
                           memory::Memory* memory,
                           v1::ImportSessionResponse* response)
    : OpenStream(kMethod, context, door, streams),
      context_(context),
      door_(door),
      limits_(limits),
      memory_(memory),
      response_(response) {}

void ImportStream::ReadPart() {
  Read([this] { StartRead(&request_); });
}

void ImportStream::OnReadDone(bool ok) {
  if (!Waited(ok)) return;
  if (ok) {
    if (request_.has_start()) session_ = request_.start().session();
    Admit(
        [this](const memory::Cancelled& cancelled) { return Take(cancelled); },
        /*is_last=*/false);
  } else if (ended_) {
    Admit([this](const memory::Cancelled&) { return MakeSession(); },
          /*is_last=*/true);
  } else {
    FinishOnce(base::Error(
        absl::StatusCode::kInvalidArgument,
        "the import ended before its end part; nothing was imported",
        {.reason = "IMPORT_INCOMPLETE", .field = "part"}));
  }
}

void ImportStream::Admit(Door::Work work, bool is_last) {
  door_->Admit(context_,
               {.method = kMethod,
                .session = session_,
                .priority = Executor::Priority::kWrite,
                .request = &request_,
                .response = response_,
                .quiet = !is_last,
                .trace = trace(),
                .charge = Limits::Charge::kBytes},
               std::move(work), [this, is_last](const absl::Status& status) {
                 if (is_last || !status.ok()) {
                   FinishOnce(status);
                 } else {
                   ReadPart();
                 }
               });
}

absl::Status ImportStream::Take(const memory::Cancelled& cancelled) {
  RETURN_IF_ERROR(TakePart(cancelled));
  charge_->Wrote(import_->bytes());
  return absl::OkStatus();
}

absl::Status ImportStream::TakePart(const memory::Cancelled& cancelled) {
  const bool is_start = request_.has_start();
  if (ended_) return base::InvalidField("part", "another", "none behind end");
  if (is_start && import_) {
    return base::InvalidField("part", "start twice", "it once");
  }
  if (!is_start && !import_) {
    return base::InvalidField("part", "another", "start first");
  }
  switch (request_.part_case()) {
    case v1::ImportSessionRequest::kStart:
      return TakeStart(request_.start());
    case v1::ImportSessionRequest::kEntries:
      return TakeEntries(request_.entries(), cancelled);
    case v1::ImportSessionRequest::kTokens:
      return TakeTokens(request_.tokens());
    case v1::ImportSessionRequest::kEnd:
      return TakeEnd(request_.end(), cancelled);
    default:
      return base::InvalidField("part", "nothing",
                                "start, entries, tokens or end");
  }
}

absl::Status ImportStream::TakeStart(const v1::ImportStart& start) {
  ASSIGN_OR_RETURN(const memory::SessionName name,
                   memory::SessionName::Parse(start.session()));
  RETURN_IF_ERROR(Join(name.space));
  ASSIGN_OR_RETURN(memory::Manifest manifest,
                   ManifestFromProto(start.manifest()));
  ASSIGN_OR_RETURN(creation_,
                   limits_->CheckRoom(name.space, Limits::Charge::kSession));
  charge_ = std::make_unique<Limits::Import>(limits_, name.space);
  ASSIGN_OR_RETURN(import_, memory_->StartImport(name, std::move(manifest)));
  return absl::OkStatus();
}

absl::Status ImportStream::TakeEntries(const v1::ExportedEntries& entries,
                                       const memory::Cancelled& cancelled) {
  for (const v1::ExportedEntry& proto : entries.entries()) {
    if (cancelled()) return absl::CancelledError("the caller is gone");
    ASSIGN_OR_RETURN(const memory::Entry entry, EntryFromProto(proto));
    const absl::Status added = import_->AddEntry(entry, cancelled);
    if (!added.ok()) {
      return base::Annotate(added, absl::StrCat("entry ", entry.number));
    }
  }
  return absl::OkStatus();
}

absl::Status ImportStream::TakeTokens(const v1::ExportedTokens& tokens) {
  ASSIGN_OR_RETURN(const ImportedTokens imported,
                   TokensFromProto(tokens, import_->record().header.profile));
  return import_->AddRows(tokens.seq_first(), imported.rows,
                          imported.forgotten);
}

absl::Status ImportStream::TakeEnd(const v1::ExportEnd& end,
                                   const memory::Cancelled& cancelled) {
  RETURN_IF_ERROR(import_->End(end.entries(), end.tokens(), cancelled));
  ended_ = true;
  return absl::OkStatus();
}

absl::Status ImportStream::MakeSession() {
  ASSIGN_OR_RETURN(const auto session, memory_->FinishImport(*import_));
  creation_.reset();
  charge_->Ended();
  const memory::SessionInfo info = session->Info();
  response_->set_session(session_);
  response_->set_entries(info.entries);
  response_->set_tokens(info.tokens);
  return absl::OkStatus();
}

void ImportStream::OnDone() {
  import_.reset();  // What it left on the disk goes before another may come.
  Close();
}

}  // namespace mneme::service
