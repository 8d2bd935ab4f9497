#include "client/upkeep_command.h"

#include <ostream>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "client/client.h"
#include "client/interrupt.h"
#include "client/output.h"
#include "client/render.h"
#include "client/units.h"

namespace mneme::client {
namespace {

absl::StatusOr<v1::DiagnoseResponse> Ask(Context& context) {
  ASSIGN_OR_RETURN(Client * client, context.Open(kLongCallDeadline));
  return client->Diagnose();
}

// What to do about a server or a directory that did not open.
struct Advice {
  std::string_view reason;
  std::string_view subject;
  std::string_view advice;
};
constexpr Advice kAdvice[] = {
    {"NO_SERVER", "server",
     "start one with `mneme serve --data DIR`, or look at the directory itself "
     "with `mneme doctor --data DIR`"},
    {"SERVER_NOT_TRUSTED", "server",
     "whoever answers there may not be whom you trust: send it nothing before "
     "this is clear"},
    {"NOT_A_SERVER", "server", "name the right one with --server"},
    {"DEADLINE_EXCEEDED", "server",
     "it is busy or stuck: allow more with --timeout, look at its log"},
    {"DATA_DIR_IN_USE", "directory",
     "ask the server that has it open (without --data), or stop that first"},
    {"DATA_DIR_MISSING", "directory", "name the right one with --data"},
    {"DATA_DIR_UNWRITABLE", "directory",
     "run as the user that owns it, or give that user the right to write"},
    {"DATA_DIR_IS_SNAPSHOT", "directory",
     "`mneme restore` it into an empty directory"},
    {"RESTORE_UNFINISHED", "directory",
     "run the same `mneme restore` again: it starts over"},
    {"FORMAT_TOO_NEW", "directory",
     "use the release that wrote it, or a later one"},
    {"STORE_CORRUPT", "directory",
     "restore the latest snapshot into a new directory; keep this one, in case "
     "the snapshot is older than what you need"},
    {"RECORD_CORRUPT", "directory",
     "restore the latest snapshot into a new directory"},
    {"DISK_FULL", "disk",
     "make room, then start again: nothing acknowledged is lost"},
};

v1::DiagnoseResponse Explained(const absl::Status& status) {
  v1::DiagnoseResponse response;
  v1::Finding& finding = *response.add_findings();
  finding.set_severity(v1::Finding::SEVERITY_ERROR);
  finding.set_subject("server");
  finding.set_detail(std::string(status.message()));
  finding.set_advice("look at the server's log");
  const std::string reason = base::DetailOf(status).reason;
  for (const Advice& advice : kAdvice) {
    if (advice.reason != reason) continue;
    finding.set_subject(std::string(advice.subject));
    finding.set_advice(std::string(advice.advice));
  }
  return response;
}

std::string_view WordOf(v1::Finding::Severity severity) {
  switch (severity) {
    case v1::Finding::SEVERITY_ERROR:
      return "ERROR";
    case v1::Finding::SEVERITY_WARNING:
      return "warning";
    default:
      return "ok";
  }
}

void RenderFindings(const v1::DiagnoseResponse& response, std::ostream& out) {
  for (const v1::Finding& finding : response.findings()) {
    out << absl::StrFormat(
        "%-8s %-10s %s\n", std::string(WordOf(finding.severity())),
        Printable(finding.subject()), Printable(finding.detail()));
    if (!finding.advice().empty()) {
      out << absl::StrFormat("%20s%s\n", "-> ", Printable(finding.advice()));
    }
  }
}

void RenderForgotten(const v1::VerifyForgottenResponse& response,
                     std::ostream& out) {
  const std::string place =
      absl::StrCat(response.files(), " files, ",
                   HumanBytes(static_cast<double>(response.bytes())));
  if (response.samples() == 0) {
    out << "nothing to search for in " << place
        << ": there is no sample of forgotten bytes\n";
  } else {
    out << (!response.clean()                ? "NOT CLEAN: some"
            : response.snapshots_size() == 0 ? "clean: none"
                                             : "clean but for snapshots: none")
        << " of " << response.samples()
        << " samples of forgotten bytes found in " << place << "\n";
  }
  if (response.unsampled() > 0) {
    out << response.unsampled()
        << " forgotten ranges have no sample of their own: a fork or an import "
           "came with them, or what was there was nearly uniform\n";
  }
  if (response.still_remembered() > 0) {
    out << response.still_remembered()
        << " more samples are still remembered elsewhere, and were not "
           "searched "
           "for\n";
  }
  for (const v1::Remnant& remnant : response.remnants()) {
    out << "  " << Printable(remnant.file()) << " at byte " << remnant.offset()
        << ": "
        << (remnant.session().empty() ? "of a deleted session"
                                      : Printable(ShortName(remnant.session())))
        << " from token " << remnant.seq_begin() << "\n";
  }
  if (response.found() > static_cast<uint64_t>(response.remnants_size())) {
    out << "  " << response.found() << " finds in all\n";
  }
  if (response.pending_operations() > 0) {
    out << response.pending_operations()
        << " forgets and deletions are not done yet: try again later\n";
  } else if (!response.clean()) {
    out << "`mneme compact` rewrites the files\n";
  }
  for (const v1::SnapshotRemnants& snapshot : response.snapshots()) {
    out << "the snapshot " << Printable(snapshot.snapshot())
        << " still holds forgotten bytes (" << snapshot.found()
        << " finds): `mneme snapshot delete " << Printable(snapshot.snapshot())
        << "`\n";
  }
}

}  // namespace

absl::StatusOr<int> RunCompact(Context& context) {
  ASSIGN_OR_RETURN(Client * client, context.Open(kLongCallDeadline));
  const LastWords words(context.data_dir().empty()
                            ? "the server goes on compacting"
                            : "nothing is lost; the same command starts over");
  ASSIGN_OR_RETURN(const v1::CompactResponse response, client->Compact());
  if (context.json()) {
    context.out() << ToJson(response) << std::endl;
  } else {
    context.out() << HumanBytes(static_cast<double>(response.bytes_before()))
                  << " before, "
                  << HumanBytes(static_cast<double>(response.bytes_after()))
                  << " after" << std::endl;
  }
  return kExitOk;
}

absl::StatusOr<int> RunVerifyForgotten(Context& context) {
  ASSIGN_OR_RETURN(Client * client, context.Open(kLongCallDeadline));
  const LastWords words("the search is not finished");
  ASSIGN_OR_RETURN(const v1::VerifyForgottenResponse response,
                   client->VerifyForgotten());
  if (context.json()) {
    context.out() << ToJson(response) << std::endl;
  } else {
    RenderForgotten(response, context.out());
    context.out() << std::flush;
  }
  const bool clean = response.clean() && response.snapshots().empty();
  return clean ? kExitOk : kExitNotClean;
}

absl::StatusOr<int> RunDoctor(Context& context) {
  const absl::StatusOr<v1::DiagnoseResponse> response = Ask(context);
  if (absl::IsInvalidArgument(response.status()) ||
      absl::IsUnauthenticated(response.status())) {
    return response.status();
  }
  if (base::DetailOf(response.status()).reason == "SCOPE_MISSING") {
    return base::Error(response.status().code(),
                       absl::StrCat(response.status().message(),
                                    ". Use a token with the scope *:admin "
                                    "(--token-file)"),
                       base::DetailOf(response.status()));
  }
  const v1::DiagnoseResponse findings =
      response.ok() ? *response : Explained(context.Explain(response.status()));
  if (context.json()) {
    context.out() << ToJson(findings) << std::endl;
  } else {
    RenderFindings(findings, context.out());
    context.out() << std::flush;
  }
  for (const v1::Finding& finding : findings.findings()) {
    if (finding.severity() == v1::Finding::SEVERITY_ERROR) return kExitNotClean;
  }
  return kExitOk;
}

}  // namespace mneme::client
