#include "client/transfer_command.h"

#include <grpcpp/client_context.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "client/client.h"
#include "client/export_reader.h"
#include "client/export_writer.h"
#include "client/interrupt.h"
#include "client/output.h"
#include "client/progress.h"
#include "client/render.h"
#include "client/units.h"
#include "proto/status.h"

namespace mneme::client {
namespace {

int Interrupted(Context& context, const std::string& what) {
  PrintError(base::Error(absl::StatusCode::kCancelled,
                         absl::StrCat("interrupted: ", what),
                         {.reason = "INTERRUPTED"}),
             context.json(), context.err());
  return kExitInterrupted;
}

// Bytes that an export will have, roughly: of text, the words alone.
uint64_t BytesOf(Client& client, const v1::SessionManifest& manifest) {
  const v1::Profile& profile = manifest.profile();
  if (profile.text_encoder().empty()) {
    const uint64_t number_bytes =
        profile.data_type() == v1::DATA_TYPE_FLOAT32 ? 4 : 2;
    return manifest.seq_next() * profile.layers() * profile.kv_heads() *
           (profile.key_dim() + profile.value_dim()) * number_bytes;
  }
  const auto stats = client.Stats(manifest.session());
  return stats.ok() ? stats->session().text_bytes() : 0;
}

// Waits for a server that is about to answer, as the calls of other commands
// do when they are repeated; a stream is not.
absl::Status AwaitServer(Client& client) {
  const absl::Status reached = client.Stats("").status();
  return absl::IsUnavailable(reached) ? reached : absl::OkStatus();
}

Progress Bar(const std::string& label, uint64_t bytes, Context& context) {
  static const base::RealClock clock;
  return Progress(label, bytes,
                  context.terminal().err_is_terminal && !context.json(),
                  context.err(), clock);
}

void PrintResult(const std::string& text, const nlohmann::ordered_json& json,
                 Context& context) {
  context.out() << (context.json() ? json.dump() : text) << std::endl;
}

// Reads every part of an export into `writer`; false when a person stopped it.
absl::StatusOr<bool> Receive(const ExportOptions& options, Client& client,
                             ExportWriter& writer, Context& context,
                             const InterruptGuard& interrupt) {
  v1::ExportSessionRequest request;
  request.set_session(SessionName(options.session));
  grpc::ClientContext call;
  client.Prepare(call);
  const auto stream = client.transfer().ExportSession(&call, request);
  std::optional<Progress> progress;
  v1::ExportSessionResponse part;
  absl::Status added;
  while (added.ok() && !interrupt.requested() && stream->Read(&part)) {
    added = writer.Add(part);
    if (part.has_manifest()) {
      progress.emplace(
          Bar(options.out, BytesOf(client, part.manifest()), context));
    }
    if (progress) progress->Update(writer.bytes());
  }
  const bool interrupted = interrupt.requested();
  if (interrupted || !added.ok()) call.TryCancel();
  const absl::Status status = proto::FromGrpc(stream->Finish());
  RETURN_IF_ERROR(added);
  if (interrupted) return false;
  RETURN_IF_ERROR(status);
  return true;
}

// Sends every part; false when a person stopped it.
absl::StatusOr<bool> Send(const std::string& session, ExportReader& reader,
                          Client& client, v1::ImportSessionResponse& response,
                          Progress& progress, const InterruptGuard& interrupt) {
  grpc::ClientContext call;
  client.Prepare(call);
  const auto stream = client.transfer().ImportSession(&call, &response);
  v1::ImportSessionRequest start;
  start.mutable_start()->set_session(session);
  *start.mutable_start()->mutable_manifest() = reader.manifest();
  bool open = stream->Write(start);
  absl::Status read;
  while (open && !interrupt.requested()) {
    auto part = reader.Next();
    read = part.status();
    if (!part.ok() || !part->has_value()) break;
    open = stream->Write(**part);
    progress.Update(reader.bytes_done());
  }
  const bool interrupted = interrupt.requested();
  if (interrupted || !read.ok()) {
    call.TryCancel();
  } else {
    stream->WritesDone();
  }
  const absl::Status status = proto::FromGrpc(stream->Finish());
  RETURN_IF_ERROR(read);
  if (interrupted && !status.ok()) return false;
  RETURN_IF_ERROR(status);
  return true;
}

// Reads every part, as an import would.
absl::Status CheckParts(ExportReader& reader, Progress& progress,
                        const InterruptGuard& interrupt) {
  for (;;) {
    ASSIGN_OR_RETURN(const auto part, reader.Next());
    if (!part || interrupt.requested()) return absl::OkStatus();
    progress.Update(reader.bytes_done());
  }
}

}  // namespace

absl::StatusOr<int> RunExport(const ExportOptions& options, Context& context) {
  const InterruptGuard interrupt;
  ASSIGN_OR_RETURN(Client * client, context.Open(kStreamDeadline));
  RETURN_IF_ERROR(AwaitServer(*client));
  ASSIGN_OR_RETURN(const std::unique_ptr<ExportWriter> writer,
                   ExportWriter::Create(options.out));
  ASSIGN_OR_RETURN(const bool whole,
                   Receive(options, *client, *writer, context, interrupt));
  if (!whole) {
    return Interrupted(context, absl::StrCat("there is no ", options.out));
  }
  RETURN_IF_ERROR(writer->Finish());
  const EndMarker& end = writer->end();
  const std::string session = SessionName(options.session);
  PrintResult(absl::StrCat(ShortName(session), ": ", end.entries, " entries, ",
                           end.tokens, " tokens, ", HumanBytes(writer->bytes()),
                           " in ", options.out),
              {{"session", session},
               {"directory", options.out},
               {"entries", end.entries},
               {"tokens", end.tokens},
               {"files", end.files.size() + 1},
               {"bytes", writer->bytes()}},
              context);
  return kExitOk;
}

absl::StatusOr<int> RunImport(const ImportOptions& options, Context& context) {
  const InterruptGuard interrupt;
  auto reader = ExportReader::Open(
      options.directory, [&](uint64_t) { return !interrupt.requested(); });
  if (absl::IsCancelled(reader.status()) && interrupt.requested()) {
    return Interrupted(context, "nothing was imported");
  }
  RETURN_IF_ERROR(reader.status());
  Progress progress = Bar(options.directory, (*reader)->bytes_total(), context);
  const std::string session =
      SessionName(options.session.empty() ? (*reader)->manifest().session()
                                          : options.session);
  v1::ImportSessionResponse response;
  bool whole = true;
  if (options.dry_run) {
    RETURN_IF_ERROR(CheckParts(**reader, progress, interrupt));
    whole = !interrupt.requested();
    response.set_entries((*reader)->end().entries);
    response.set_tokens((*reader)->end().tokens);
  } else {
    ASSIGN_OR_RETURN(Client * client, context.Open(kStreamDeadline));
    RETURN_IF_ERROR(AwaitServer(*client));
    ASSIGN_OR_RETURN(
        whole, Send(session, **reader, *client, response, progress, interrupt));
  }
  progress.Clear();
  if (!whole) return Interrupted(context, "nothing was imported");
  PrintResult(absl::StrCat(options.dry_run ? "would import " : "",
                           ShortName(session), ": ", response.entries(),
                           " entries, ", response.tokens(), " tokens"),
              {{"session", session},
               {"directory", options.directory},
               {"entries", response.entries()},
               {"tokens", response.tokens()},
               {"dry_run", options.dry_run}},
              context);
  return kExitOk;
}

}  // namespace mneme::client
