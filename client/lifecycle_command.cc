#include "client/lifecycle_command.h"

#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "client/client.h"
#include "client/duration.h"
#include "client/interrupt.h"
#include "client/output.h"
#include "client/render.h"
#include "client/timestamp.h"

namespace mneme::client {
namespace {

// Between two looks at an operation.
constexpr std::chrono::milliseconds kPatience{100};

absl::StatusOr<v1::SeqRange> ParseSeqs(const std::string& text) {
  v1::SeqRange range;
  const size_t colon = text.find(':');
  uint64_t begin = 0;
  uint64_t end = 0;
  const std::string last =
      colon == std::string::npos ? "" : text.substr(colon + 1);
  const bool is_open = colon != std::string::npos && last.empty();
  if (colon == std::string::npos ||
      text.find_first_not_of("0123456789:") != std::string::npos ||
      !absl::SimpleAtoi(text.substr(0, colon), &begin) ||
      (!is_open && !absl::SimpleAtoi(last, &end))) {
    return base::InvalidField("--seqs", base::Quoted(text),
                              "BEGIN:END or BEGIN:, such as 10:20");
  }
  range.set_begin(begin);
  if (!is_open) range.set_end(end);
  return range;
}

absl::StatusOr<v1::TimeRange> ParseTimes(const ForgetOptions& options) {
  v1::TimeRange range;
  if (options.since) {
    ASSIGN_OR_RETURN(*range.mutable_begin(), ParseTimestamp(*options.since));
  }
  if (options.until) {
    ASSIGN_OR_RETURN(*range.mutable_end(), ParseTimestamp(*options.until));
  }
  return range;
}

absl::StatusOr<v1::ForgetRequest> RequestOf(const ForgetOptions& options) {
  const bool by_time = options.since || options.until;
  const bool by_filter =
      options.source || options.role || !options.metadata.empty();
  const int given = (options.entry ? 1 : 0) + (options.seqs ? 1 : 0) +
                    (by_time ? 1 : 0) + (by_filter ? 1 : 0);
  if (given != 1) {
    return base::InvalidField(
        "forget", given == 0 ? "nothing" : "several ways to choose",
        "one of --entry, --seqs, --since/--until or --source/--role/--meta");
  }
  v1::ForgetRequest request;
  request.set_session(SessionName(options.session));
  request.set_dry_run(options.dry_run);
  if (options.entry) request.set_entry(*options.entry);
  if (options.seqs) {
    ASSIGN_OR_RETURN(*request.mutable_seq_range(), ParseSeqs(*options.seqs));
  }
  if (by_time) {
    ASSIGN_OR_RETURN(*request.mutable_time_range(), ParseTimes(options));
  }
  if (by_filter && !options.role && options.metadata.empty()) {
    request.set_source(*options.source);
  } else if (by_filter) {
    v1::RecallFilter& filter = *request.mutable_filter();
    filter.set_source(options.source.value_or(""));
    filter.set_role(options.role.value_or(""));
    filter.mutable_metadata()->insert(options.metadata.begin(),
                                      options.metadata.end());
  }
  return request;
}

absl::StatusOr<v1::Operation> Wait(const std::string& name, Client& client,
                                   Context& context) {
  const InterruptGuard interrupt;
  std::string told;
  for (;;) {
    ASSIGN_OR_RETURN(v1::Operation operation, client.GetOperation(name));
    if (operation.done()) return operation;
    if (operation.error() != told) {
      told = operation.error();
      context.err() << "not done yet: " << told << std::endl;
    }
    if (interrupt.requested()) {
      return absl::CancelledError(
          absl::StrCat("it goes on in the server; ask again with: mneme "
                       "operation ",
                       name));
    }
    std::this_thread::sleep_for(kPatience);
  }
}

// What every command says of the operation that it began.
absl::Status Follow(const std::string& operation, bool wait, Client& client,
                    Context& context) {
  if (operation.empty()) return absl::OkStatus();
  if (wait) {
    RETURN_IF_ERROR(Wait(operation, client, context).status());
    if (!context.json()) {
      context.out() << "its bytes have left the disk, but for forks that "
                       "remember them and snapshots made before"
                    << std::endl;
    }
  } else if (!context.json()) {
    context.out() << "its bytes leave the disk in the background: mneme "
                     "operation "
                  << operation << std::endl;
  }
  return absl::OkStatus();
}

// When `session` goes, as the end of a sentence.
std::string EndOf(const v1::Session& session) {
  if (!session.has_ttl()) return "kept until it is deleted";
  return absl::StrCat("deleted ", FormatDuration(session.ttl()),
                      " after its last change");
}

absl::StatusOr<int> DeleteAll(const DeleteOptions& options, Client& client,
                              Context& context) {
  const std::string parent =
      options.name_space.rfind("namespaces/", 0) == 0
          ? options.name_space
          : absl::StrCat("namespaces/", options.name_space);
  if (!options.yes) {
    return base::InvalidField(
        "--yes", "nothing",
        absl::StrCat("--yes, to delete every session of ", parent,
                     " for good (see them with: mneme sessions ",
                     options.name_space, ")"));
  }
  ASSIGN_OR_RETURN(const v1::DeleteNamespaceResponse response,
                   client.DeleteNamespace(parent));
  if (context.json()) {
    context.out() << ToJson(response) << std::endl;
  } else {
    context.out() << "deleted " << response.sessions() << " sessions of "
                  << parent << std::endl;
  }
  RETURN_IF_ERROR(Follow(response.operation(), options.wait, client, context));
  return kExitOk;
}

}  // namespace

absl::StatusOr<int> RunForget(const ForgetOptions& options, Context& context) {
  ASSIGN_OR_RETURN(const v1::ForgetRequest request, RequestOf(options));
  ASSIGN_OR_RETURN(Client * client, context.Open(kLongCallDeadline));
  ASSIGN_OR_RETURN(const v1::ForgetResponse response, client->Forget(request));
  if (context.json()) {
    context.out() << ToJson(response) << std::endl;
  } else {
    context.out() << (options.dry_run ? "would forget " : "forgot ")
                  << response.entries() << " entries, " << response.tokens()
                  << " tokens" << std::endl;
    const v1::SeqRange& named = request.seq_range();
    if (named.has_end() && named.end() - named.begin() < response.tokens()) {
      context.out() << "that is more than the " << named.end() - named.begin()
                    << " that were named: of text, whole entries go"
                    << std::endl;
    }
  }
  RETURN_IF_ERROR(Follow(response.operation(), options.wait, *client, context));
  return kExitOk;
}

absl::StatusOr<int> RunFork(const ForkOptions& options, Context& context) {
  v1::ForkSessionRequest request;
  request.set_session(SessionName(options.session));
  // A bare name lies in the namespace of the session.
  const std::string space =
      request.session().substr(0, request.session().rfind('/') + 1);
  request.set_fork(options.fork.find('/') == std::string::npos
                       ? absl::StrCat(space, options.fork)
                       : SessionName(options.fork));
  if (options.at_seq) request.set_at_seq(*options.at_seq);
  if (options.ttl) {
    ASSIGN_OR_RETURN(*request.mutable_ttl(),
                     ParseDuration(*options.ttl, "--ttl"));
  }
  ASSIGN_OR_RETURN(Client * client, context.Open());
  ASSIGN_OR_RETURN(const v1::Session fork, client->ForkSession(request));
  if (context.json()) {
    context.out() << ToJson(fork) << std::endl;
  } else {
    context.out() << ShortName(fork.name()) << ": "
                  << ShortName(request.session()) << " up to seq "
                  << fork.seq_next() << ", " << fork.entries() << " entries, "
                  << fork.tokens() << " tokens; " << EndOf(fork) << std::endl;
  }
  return kExitOk;
}

absl::StatusOr<int> RunTtl(const std::string& session, const std::string& ttl,
                           Context& context) {
  v1::UpdateSessionRequest request;
  request.set_session(SessionName(session));
  if (ttl != "never") {
    ASSIGN_OR_RETURN(*request.mutable_ttl(), ParseDuration(ttl, "ttl"));
  }
  ASSIGN_OR_RETURN(Client * client, context.Open());
  ASSIGN_OR_RETURN(const v1::Session updated, client->UpdateSession(request));
  if (context.json()) {
    context.out() << ToJson(updated) << std::endl;
  } else {
    context.out() << ShortName(updated.name()) << ": " << EndOf(updated)
                  << std::endl;
  }
  return kExitOk;
}

absl::StatusOr<int> RunDelete(const DeleteOptions& options, Context& context) {
  if (options.session.empty() == options.name_space.empty()) {
    return base::InvalidField("delete",
                              options.session.empty() ? "nothing" : "both",
                              "SESSION or --namespace NAME");
  }
  ASSIGN_OR_RETURN(Client * client, context.Open(kLongCallDeadline));
  if (!options.name_space.empty()) return DeleteAll(options, *client, context);
  const std::string name = SessionName(options.session);
  if (!options.yes) {
    ASSIGN_OR_RETURN(const v1::Session doomed, client->GetSession(name));
    return base::InvalidField(
        "--yes", "nothing",
        absl::StrCat("--yes, to delete ", ShortName(name), " with its ",
                     doomed.entries(), " entries and ", doomed.tokens(),
                     " tokens for good"));
  }
  ASSIGN_OR_RETURN(const v1::DeleteSessionResponse response,
                   client->DeleteSession(name));
  if (context.json()) {
    context.out() << ToJson(response) << std::endl;
  } else {
    context.out() << "deleted " << ShortName(name) << std::endl;
  }
  RETURN_IF_ERROR(Follow(response.operation(), options.wait, *client, context));
  return kExitOk;
}

absl::StatusOr<int> RunOperation(const std::string& name, bool wait,
                                 Context& context) {
  ASSIGN_OR_RETURN(Client * client, context.Open());
  v1::Operation operation;
  if (wait) {
    ASSIGN_OR_RETURN(operation, Wait(name, *client, context));
  } else {
    ASSIGN_OR_RETURN(operation, client->GetOperation(name));
  }
  if (context.json()) {
    context.out() << ToJson(operation) << std::endl;
    return kExitOk;
  }
  context.out() << operation.kind() << " of "
                << FormatTimestamp(operation.create_time()) << ": ";
  if (operation.done()) {
    context.out() << "done " << FormatTimestamp(operation.done_time());
  } else {
    context.out() << "not done yet";
    if (!operation.error().empty()) context.out() << ", " << operation.error();
  }
  context.out() << std::endl;
  return kExitOk;
}

}  // namespace mneme::client
