#include "client/append_command.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "client/client.h"
#include "client/document.h"
#include "client/input_file.h"
#include "client/interrupt.h"
#include "client/output.h"
#include "client/progress.h"
#include "client/render.h"
#include "client/request_id.h"
#include "client/safetensors.h"
#include "client/timestamp.h"
#include "client/token_rows.h"

namespace mneme::client {
namespace {

constexpr char kTextProfile[] = "text";

// A file to append. What cannot be read twice is kept.
struct Input {
  std::string path;
  std::optional<std::string> text;
};

absl::Status CheckOptions(const AppendOptions& options) {
  const int kinds = !options.files.empty() + options.text.has_value() +
                    !options.tensors.empty();
  if (kinds != 1) {
    return base::InvalidField(
        "append", kinds == 0 ? "nothing" : "several kinds of input",
        "one of FILE, - (standard input), --text and --tensors");
  }
  if (options.source && options.files.size() > 1) {
    return base::InvalidField("--source", "several files",
                              "one file, or no --source: then each file is "
                              "its own source");
  }
  const bool described = !options.role.empty() || !options.time.empty() ||
                         options.source || !options.metadata.empty();
  if (!options.tensors.empty() && described) {
    return base::InvalidField("--tensors",
                              "--role, --time, --source or --meta too",
                              "none of them: they describe text");
  }
  if (!options.time.empty()) {
    RETURN_IF_ERROR(ParseTimestamp(options.time).status());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Input>> CheckInputs(
    const std::vector<std::string>& paths) {
  std::vector<Input> inputs;
  bool stdin_taken = false;
  for (const std::string& path : paths) {
    if (path == "-" && std::exchange(stdin_taken, true)) {
      return base::InvalidField("FILE", "- twice", "standard input once");
    }
    if (base::FirstInvalidUtf8(path)) {
      return base::InvalidField("FILE", base::Quoted(path),
                                "a name in UTF-8; rename the file, or send it "
                                "as standard input with --source NAME");
    }
    ASSIGN_OR_RETURN(std::string text, ReadTextFile(path));
    inputs.push_back({path, std::nullopt});
    if (!IsRegularFile(path)) inputs.back().text = std::move(text);
  }
  return inputs;
}

// Creates the session with the text profile unless it exists; returns whether
// it did.
absl::StatusOr<bool> EnsureSession(Client& client, const std::string& session) {
  const absl::Status found = client.GetSession(session).status();
  // Who may not even read is to hear which scope an append takes.
  if (!absl::IsNotFound(found) && !absl::IsPermissionDenied(found)) {
    RETURN_IF_ERROR(found);
    return false;
  }
  v1::CreateSessionRequest request;
  request.set_session(session);
  request.set_profile_name(kTextProfile);
  const absl::Status created = client.CreateSession(request).status();
  if (absl::IsAlreadyExists(created)) return false;  // Somebody was faster.
  RETURN_IF_ERROR(created);
  return true;
}

std::string SourceOf(const AppendOptions& options, const std::string& path) {
  if (options.source) return *options.source;
  if (path == "-") return "";
  return std::filesystem::path(path).lexically_normal().string();
}

std::string Counted(uint64_t count, const std::string& one,
                    const std::string& many) {
  return absl::StrCat(count, " ", count == 1 ? one : many);
}

// What an append of text did, for people and machines.
class Report {
 public:
  Report(std::string session, bool created, Context& context)
      : session_(std::move(session)), created_(created), context_(context) {
    if (created_ && !context_.json()) {
      context_.err() << "created session " << ShortName(session_)
                     << " with profile \"" << kTextProfile << "\"\n";
    }
  }

  void Add(const std::string& source, const DocumentResult& result) {
    inputs_.push_back({{"source", source},
                       {"entries", result.entries},
                       {"replayed", result.replayed},
                       {"passages", result.passages}});
    seq_next_ = result.seq_next;
    if (context_.json()) return;
    context_.out() << ShortName(session_)
                   << (source.empty() ? "" : " < " + Printable(source)) << ": "
                   << Counted(result.entries, "entry", "entries") << ", "
                   << Counted(result.passages, "passage", "passages");
    if (result.replayed > 0) {
      context_.out() << "; "
                     << Counted(result.replayed, "entry was", "entries were")
                     << " already there";
    }
    context_.out() << std::endl;
  }

  void Print() const {
    if (!context_.json()) return;
    const nlohmann::ordered_json report = {{"session", session_},
                                           {"created", created_},
                                           {"inputs", inputs_},
                                           {"seq_next", seq_next_}};
    context_.out() << report.dump() << std::endl;
  }

 private:
  const std::string session_;
  const bool created_;
  Context& context_;
  nlohmann::ordered_json inputs_ = nlohmann::ordered_json::array();
  uint64_t seq_next_ = 0;
};

absl::StatusOr<int> AppendText(const AppendOptions& options, Context& context) {
  const std::string& text = *options.text;
  if (const auto bad = base::FirstInvalidUtf8(text)) {
    return base::InvalidField(
        "--text", absl::StrCat("invalid UTF-8 at byte ", *bad), "UTF-8");
  }
  if (base::IsBlank(text))
    return base::InvalidField("--text", "no words", "words");
  const std::string session = SessionName(options.session);
  ASSIGN_OR_RETURN(Client * client, context.OpenOrCreate());
  ASSIGN_OR_RETURN(const bool created, EnsureSession(*client, session));
  Report report(session, created, context);

  v1::AppendRequest request;
  request.set_session(session);
  // Two equal turns of a conversation are two turns.
  request.set_request_id(RandomRequestId());
  if (options.buffered) request.set_acknowledge(v1::ACKNOWLEDGE_BUFFERED);
  v1::TextEntry& entry = *request.mutable_text();
  entry.set_text(text);
  entry.set_role(options.role);
  entry.set_source(options.source.value_or(""));
  entry.mutable_metadata()->insert(options.metadata.begin(),
                                   options.metadata.end());
  if (!options.time.empty()) {
    ASSIGN_OR_RETURN(*entry.mutable_time(), ParseTimestamp(options.time));
  }
  ASSIGN_OR_RETURN(const v1::AppendResponse response, client->Append(request));
  report.Add(entry.source(), {.entries = 1,
                              .replayed = response.replayed(),
                              .passages = response.passages(),
                              .seq_next = response.seq_next()});
  report.Print();
  return kExitOk;
}

// Says how far it came; a person who pressed Ctrl-C wants to know.
int Interrupted(Context& context, const std::string& how_far) {
  PrintError(base::Error(absl::StatusCode::kCancelled,
                         absl::StrCat("interrupted: ", how_far),
                         {.reason = "INTERRUPTED",
                          .field = "",
                          .metadata = {},
                          .retry_after = std::nullopt}),
             context.json(), context.err());
  return kExitInterrupted;
}

absl::StatusOr<int> AppendFiles(const AppendOptions& options,
                                Context& context) {
  ASSIGN_OR_RETURN(const std::vector<Input> inputs, CheckInputs(options.files));
  Document document;
  document.session = SessionName(options.session);
  document.role = options.role;
  document.time = options.time;
  document.metadata = options.metadata;
  document.buffered = options.buffered;
  const InterruptGuard interrupt;
  ASSIGN_OR_RETURN(Client * client, context.OpenOrCreate());
  ASSIGN_OR_RETURN(const bool created,
                   EnsureSession(*client, document.session));
  Report report(document.session, created, context);
  const base::RealClock clock;
  for (const Input& input : inputs) {
    if (interrupt.requested()) {
      return Interrupted(context,
                         absl::StrCat("nothing of ", input.path,
                                      " is appended yet; the same command "
                                      "resumes"));
    }
    std::string text;
    if (input.text) {
      text = *input.text;
    } else {
      ASSIGN_OR_RETURN(text, ReadTextFile(input.path));
    }
    document.source = SourceOf(options, input.path);
    Progress progress(input.path, text.size(),
                      context.terminal().err_is_terminal && !context.json(),
                      context.err(), clock);
    auto result = AppendDocument(*client, document, text,
                                 [&](const DocumentProgress& now) {
                                   progress.Update(now.bytes_done);
                                   return !interrupt.requested();
                                 });
    if (absl::IsCancelled(result.status()) && interrupt.requested()) {
      progress.Clear();
      return Interrupted(
          context, absl::StrCat(input.path, " ", result.status().message(),
                                "; what came before is remembered, and "
                                "the same command resumes"));
    }
    if (!result.ok()) return base::Annotate(result.status(), input.path);
    progress.Update(text.size());
    if (!context.json()) progress.Finish();
    report.Add(document.source, *result);
  }
  report.Print();
  return kExitOk;
}

absl::StatusOr<int> AppendTensors(const AppendOptions& options,
                                  Context& context) {
  ASSIGN_OR_RETURN(const Safetensors file, ReadSafetensors(options.tensors));
  const std::string session = SessionName(options.session);
  const InterruptGuard interrupt;
  ASSIGN_OR_RETURN(Client * client, context.OpenOrCreate());
  auto result = AppendTokenRows(
      *client, session, file,
      {.keys = "keys", .values = "values", .positions = "positions"},
      options.buffered, [&] { return !interrupt.requested(); });
  if (absl::IsCancelled(result.status()) && interrupt.requested()) {
    return Interrupted(context, absl::StrCat(result.status().message(),
                                             "; those are remembered"));
  }
  if (absl::IsNotFound(result.status())) {
    return base::Annotate(result.status(),
                          "keys and values need a session whose profile says "
                          "their geometry (see `mneme create --help`)");
  }
  RETURN_IF_ERROR(result.status());
  if (context.json()) {
    const nlohmann::ordered_json report = {
        {"session", session},
        {"tokens", result->tokens},
        {"requests", result->requests},
        {"seq_next", result->last.seq_next()},
        {"position_next", result->last.position_next()}};
    context.out() << report.dump() << std::endl;
  } else {
    context.out() << ShortName(session) << ": "
                  << Counted(result->tokens, "token", "tokens") << " in "
                  << Counted(result->requests, "request", "requests")
                  << "; the log is at seq " << result->last.seq_next()
                  << std::endl;
  }
  return kExitOk;
}

}  // namespace

absl::StatusOr<int> RunAppend(const AppendOptions& options, Context& context) {
  RETURN_IF_ERROR(CheckOptions(options));
  if (options.text) return AppendText(options, context);
  if (!options.tensors.empty()) return AppendTensors(options, context);
  return AppendFiles(options, context);
}

}  // namespace mneme::client
