#include "client/cli.h"

#include <CLI/CLI.hpp>
#include <cstring>
#include <functional>
#include <iostream>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/trace_parent.h"
#include "base/usage.h"
#include "client/append_command.h"
#include "client/attend_command.h"
#include "client/context.h"
#include "client/lifecycle_command.h"
#include "client/output.h"
#include "client/profile_command.h"
#include "client/recall_command.h"
#include "client/session_command.h"
#include "client/snapshot_command.h"
#include "client/tokens_command.h"
#include "client/transfer_command.h"
#include "client/upkeep_command.h"

namespace mneme::client {
namespace {

constexpr char kServe[] = "serve";
constexpr char kToken[] = "token";

// What a server gives at once; it would say so too, but not to "many".
constexpr int kPassagesMax = 1000;

constexpr char kFooter[] = R"(
Sessions are named NAME (namespace "default"), NAMESPACE/NAME, or in full.

Examples:
  mneme serve --data ./mem                      start a server
  mneme append notes book.txt                   remember a file
  mneme append chat --text "I moved to Rome" --role user
  mneme recall notes who opened the door        find passages, best first
  mneme context notes who opened the door --budget 800 > prompt.txt
  mneme recall notes "the door" -k 3 -o json    for programs
  mneme verify notes                            is everything intact?
  mneme profiles                                methods for keys and values
  mneme --data ./mem sessions                   without a server

`mneme COMMAND --help` explains a command and its flags.

Exit codes:
    0  done                         4  no server, or too busy: try again
    1  the server or store failed   5  refused: a precondition, permission, quota
    2  wrong flags or arguments     6  verify found something
    3  no such session or file    130  interrupted)";

using Run = std::function<absl::StatusOr<int>(Context&)>;

// One command line: what CLI11 fills in, and what is to be run then.
struct CommandLine {
  GlobalOptions global;
  std::string output = "text";
  Run run;
};

// "key=value" pairs as a repeated flag, each taking one argument.
std::shared_ptr<std::vector<std::string>> AddPairs(CLI::App* command,
                                                   const std::string& help) {
  auto pairs = std::make_shared<std::vector<std::string>>();
  command->add_option("--meta", *pairs, help)
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false)
      ->check([](const std::string& pair) {
        const size_t equals = pair.find('=');
        return equals == std::string::npos || equals == 0
                   ? "expected KEY=VALUE, got \"" + pair + "\""
                   : std::string();
      });
  return pairs;
}

std::map<std::string, std::string> MapOf(
    const std::vector<std::string>& pairs) {
  std::map<std::string, std::string> map;
  for (const std::string& pair : pairs) {
    const size_t equals = pair.find('=');
    map[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return map;
}

CLI::App* AddCommand(CLI::App& app, const std::string& name,
                     const std::string& help, const std::string& footer = "") {
  CLI::App* command = app.add_subcommand(name, help);
  command->fallthrough();  // Global flags may stand behind the command.
  command->footer(footer);
  return command;
}

void AddSession(CLI::App* command, std::string& session) {
  command->add_option("session", session, "Session, e.g. s1 or team/s1")
      ->type_name("")
      ->required();
}

void AddTtl(CLI::App* command, std::optional<std::string>& ttl) {
  command
      ->add_option("--ttl", ttl,
                   "Delete it this long after its last change, such as 30d "
                   "(default: never)")
      ->type_name("TIME");
}

void AddQuery(CLI::App* command, std::vector<std::string>& query) {
  command->add_option("query", query, "What is asked; several words are joined")
      ->type_name("")
      ->required();
}

std::shared_ptr<std::vector<std::string>> AddFilter(CLI::App* command,
                                                    FilterOptions& filter) {
  command->add_option("--source", filter.source, "Only from this source");
  command->add_option("--role", filter.role, "Only what this role said");
  return AddPairs(command, "Only entries with this fact; may be repeated");
}

void AddAppend(CLI::App& app, CommandLine& line) {
  CLI::App* command = AddCommand(
      app, "append", "Remember files, a text, or keys and values", R"(
A missing session is created with the profile "text" (not for --tensors).
Files are cut into parts with an id made of their words: after a crash or
Ctrl-C the same command appends only what is missing, and a file that is
already there is not remembered twice. --text always adds an entry. A source is
known by its name as it is spelt; to replace one: forget --source, then append.

Examples:
  mneme append book chapter1.txt chapter2.txt
  pdftotext paper.pdf - | mneme append papers - --source paper.pdf
  mneme append chat --text "yes" --role user --time 2024-05-01T12:00:00Z
  mneme append run7 --tensors kv.safetensors)");
  auto options = std::make_shared<AppendOptions>();
  AddSession(command, options->session);
  command->add_option("file", options->files, "Text files; - is standard input")
      ->type_name("");
  command->add_option("--text", options->text, "This text, as one entry");
  command
      ->add_option("--tensors", options->tensors,
                   "Safetensors file with keys [layers, kv_heads, tokens, "
                   "key_dim], values, and maybe positions (I64)")
      ->type_name("FILE");
  command->add_option("--role", options->role, "Who said it");
  command->add_option("--time", options->time,
                      "When, ISO 8601; UTC without a zone");
  command->add_option("--source", options->source,
                      "Document or conversation (default: the file's path)");
  auto pairs = AddPairs(command, "A fact of your own; may be repeated");
  command->add_flag("--buffered", options->buffered,
                    "Do not wait for the disk; a power failure may lose it");
  command->callback([=, &line] {
    options->metadata = MapOf(*pairs);
    line.run = [options](Context& context) {
      return RunAppend(*options, context);
    };
  });
}

void AddRecall(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      AddCommand(app, "recall", "Find what is remembered, best first", R"(
Examples:
  mneme recall book who opened the door
  mneme recall chat "where does she live" --role user -k 3 --explain)");
  auto options = std::make_shared<RecallOptions>();
  AddSession(command, options->session);
  AddQuery(command, options->query);
  command
      ->add_option("-k,--limit", options->limit,
                   "Passages at most (default 10)")
      ->check(CLI::Range(1, kPassagesMax));
  auto pairs = AddFilter(command, options->filter);
  command->add_flag("--explain", options->explain,
                    "Show where each share comes from");
  command->callback([=, &line] {
    options->filter.metadata = MapOf(*pairs);
    line.run = [options](Context& context) {
      return RunRecall(*options, context);
    };
  });
}

void AddContext(CLI::App& app, CommandLine& line) {
  CLI::App* command = AddCommand(
      app, "context", "Pack what is remembered into a token budget", R"(
The block goes to standard output, its citations to standard error.

Example:
  mneme context book who opened the door --budget 800 --recent 2 > prompt.txt)");
  auto options = std::make_shared<ContextOptions>();
  AddSession(command, options->session);
  AddQuery(command, options->query);
  command->add_option("--budget", options->budget, "Tokens it may have")
      ->required();
  command->add_option("--recent", options->recent,
                      "Latest entries to put in first (default 0)");
  auto pairs = AddFilter(command, options->filter);
  command->callback([=, &line] {
    options->filter.metadata = MapOf(*pairs);
    line.run = [options](Context& context) {
      return RunContext(*options, context);
    };
  });
}

void AddAttend(CLI::App& app, CommandLine& line) {
  CLI::App* command = AddCommand(
      app, "attend", "Attention of queries in a file over a session", R"(
Reads q, [query_heads, rows, key_dim] or with a leading dimension of layers,
and maybe positions (I64 [rows]); without them rows stand behind the last token.
When the file has k and v, [layers, kv_heads, tokens, dim], and maybe
k_positions (I64 [tokens]), these are appended first, for good; as many rows as
tokens then stand at their tokens.
Writes output, lse (natural log), and the tiers' shares as metadata.

Example:
  mneme attend run7 --in q.safetensors --out answer.safetensors --exhaustive)");
  auto options = std::make_shared<AttendOptions>();
  AddSession(command, options->session);
  command->add_option("--in", options->in, "Safetensors file to read")
      ->type_name("FILE")
      ->required();
  command->add_option("--out", options->out, "Safetensors file to write")
      ->type_name("FILE")
      ->required();
  command->add_option("--layer", options->layer,
                      "Layer (default: 0, or every layer of q)");
  command->add_option("--top-k", options->top_k,
                      "Keys the kNN tier reads per row and head");
  command->add_flag("--exhaustive", options->exhaustive,
                    "The kNN tier reads every key");
  command
      ->add_option("--tiers", options->tiers,
                   "Only these: sink, window, knn, compressive")
      ->delimiter(',')
      ->type_name("TIER[,TIER]")
      ->allow_extra_args(false);
  command->callback([=, &line] {
    line.run = [options](Context& context) {
      return RunAttend(*options, context);
    };
  });
}

void AddCreate(CLI::App& app, CommandLine& line) {
  CLI::App* command = AddCommand(app, "create", "Create an empty session", R"(
Examples:
  mneme create notes
  mneme create run7 --profile-file llama.json
where llama.json is e.g. {"layers": 32, "query_heads": 32, "kv_heads": 8,
"key_dim": 128, "position": {"family": "POSITION_FAMILY_ROPE", "theta": 500000},
"window": {"tokens": 4096}, "knn": {"top_k": 64}}, or begins with "preset": a
message that such a file gives replaces the preset's whole.
  mneme create run8 --profile infini --set layers=2 --set key_dim=64
  mneme create run9 --profile fot --set window.block_tokens=128 \
      --set knn.top_k=64 --set head_scales=12.5

--set takes the paths that `mneme profiles show NAME` prints; what it does not
name stays as the profile has it, unless it has no meaning any more (a distance
when the policy takes none). Lists have commas (0.5,-1); nothing behind the "="
takes a setting inside a tier away (knn.gate_logits=), "all", "no limit" and
"none" among what is printed. A whole tier goes only by a file without it.)");
  auto options = std::make_shared<CreateOptions>();
  AddSession(command, options->session);
  command->add_option("--profile", options->profile,
                      "A profile the server knows (default \"text\"); see "
                      "mneme profiles");
  command
      ->add_option("--profile-file", options->profile_file,
                   "A profile of your own, protobuf JSON")
      ->type_name("FILE");
  command
      ->add_option("--set", options->settings,
                   "A setting over the profile's; may be repeated")
      ->type_name("PATH=VALUE")
      ->allow_extra_args(false);
  AddTtl(command, options->ttl);
  command->callback([=, &line] {
    line.run = [options](Context& context) {
      return RunCreate(*options, context);
    };
  });
}

void AddProfiles(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      AddCommand(app, "profiles", "List the profiles that the server knows", R"(
Examples:
  mneme profiles
  mneme profiles show longllama)");
  CLI::App* show =
      AddCommand(*command, "show", "Show a profile with all its settings");
  auto name = std::make_shared<std::string>();
  show->add_option("name", *name, "Its name")->type_name("")->required();
  command->callback([=, &line] {
    line.run = [=](Context& context) {
      return show->parsed() ? RunShowProfile(*name, context)
                            : RunProfiles(context);
    };
  });
}

void AddSessions(CLI::App& app, CommandLine& line) {
  CLI::App* command = AddCommand(app, "sessions", "List sessions");
  auto name = std::make_shared<std::string>();
  command->add_option("namespace", *name, "Namespace (default \"default\")")
      ->type_name("");
  command->callback([=, &line] {
    line.run = [name](Context& context) { return RunSessions(*name, context); };
  });
}

void AddShow(CLI::App& app, CommandLine& line) {
  CLI::App* command = AddCommand(app, "show", "Describe a session");
  auto session = std::make_shared<std::string>();
  AddSession(command, *session);
  command->callback([=, &line] {
    line.run = [session](Context& context) {
      return RunShow(*session, context);
    };
  });
}

void AddStats(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      AddCommand(app, "stats", "Count what a session and the server hold");
  auto session = std::make_shared<std::string>();
  command->add_option("session", *session, "Session (default: the server only)")
      ->type_name("");
  command->callback([=, &line] {
    line.run = [session](Context& context) {
      return RunStats(*session, context);
    };
  });
}

void AddTokens(CLI::App& app, CommandLine& line) {
  CLI::App* command = AddCommand(
      app, "tokens", "List tokens with their positions and tiers", R"(
Examples:
  mneme tokens run7 --from 4096 --limit 20
  mneme tokens run7 --layer 3 --tensors -o json)");
  auto options = std::make_shared<TokensOptions>();
  AddSession(command, options->session);
  command->add_option("--layer", options->layer, "Of this layer (default 0)");
  command->add_option("--from", options->from, "From this seq on (default 0)")
      ->type_name("SEQ")
      // As a signed number, so that neither -1 nor 1e20 wraps around.
      ->check(CLI::Range(int64_t{0}, std::numeric_limits<int64_t>::max()));
  command->add_option("--limit", options->limit, "Tokens at most (default 100)")
      ->check(CLI::Range(1, 1'000'000));
  command->add_flag("--tensors", options->tensors,
                    "With keys and values, as many as one message takes; "
                    "needs -o json");
  command->callback([=, &line] {
    line.run = [options](Context& context) {
      return RunTokens(*options, context);
    };
  });
}

void AddCommit(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      AddCommand(app, "commit", "Move the window's tokens to memory now");
  auto session = std::make_shared<std::string>();
  auto keep = std::make_shared<uint32_t>(0);
  AddSession(command, *session);
  command->add_option("--keep", *keep,
                      "Latest tokens that stay in the window (default 0)");
  command->callback([=, &line] {
    line.run = [=](Context& context) {
      return RunCommit(*session, *keep, context);
    };
  });
}

void AddForget(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      AddCommand(app, "forget", "Remove entries or tokens for good", R"(
They are hidden at once; their bytes leave the disk in the background, and the
operation that is named says when. In a session of text, whole entries go.

Examples:
  mneme forget chat --entry 17
  mneme forget papers --source paper.pdf --dry-run
  mneme forget chat --since 2026-03-01 --until 2026-04-01
  mneme forget chat --role user --meta topic=health --wait
  mneme forget run7 --seqs 4096:8192)");
  auto options = std::make_shared<ForgetOptions>();
  AddSession(command, options->session);
  command->add_option("--entry", options->entry, "This entry");
  command->add_option("--seqs", options->seqs, "Tokens by their seq")
      ->type_name("BEGIN:END");
  command
      ->add_option("--since", options->since,
                   "Entries of this time or later (UTC without a zone)")
      ->type_name("TIME");
  command->add_option("--until", options->until, "Entries of before this time")
      ->type_name("TIME");
  command->add_option("--source", options->source,
                      "Every entry of this source");
  command->add_option("--role", options->role, "What this role said");
  auto pairs = AddPairs(command, "Entries with this fact; may be repeated");
  command->add_flag("--dry-run", options->dry_run,
                    "Count what would go, and let it stay");
  command->add_flag("--wait", options->wait, "Until every trace is gone");
  command->callback([=, &line] {
    options->metadata = MapOf(*pairs);
    line.run = [options](Context& context) {
      return RunForget(*options, context);
    };
  });
}

void AddFork(CLI::App& app, CommandLine& line) {
  CLI::App* command = AddCommand(
      app, "fork", "Make a session that remembers what another does", R"(
The two share the disk, and are independent from then on.

Examples:
  mneme fork chat what-if
  mneme fork run7 run7-b --at 4096 --ttl 7d)");
  auto options = std::make_shared<ForkOptions>();
  AddSession(command, options->session);
  command->add_option("fork", options->fork, "The new session")
      ->type_name("")
      ->required();
  command
      ->add_option("--at", options->at_seq,
                   "Remember only what is below this seq")
      ->type_name("SEQ");
  AddTtl(command, options->ttl);
  command->callback([=, &line] {
    line.run = [options](Context& context) {
      return RunFork(*options, context);
    };
  });
}

void AddTtlCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = AddCommand(
      app, "ttl", "Delete a session some time after its last change", R"(
Examples:
  mneme ttl chat 30d
  mneme ttl chat never)");
  auto session = std::make_shared<std::string>();
  auto ttl = std::make_shared<std::string>();
  AddSession(command, *session);
  command->add_option("ttl", *ttl, "90s, 15m, 12h, 30d, 52w or never")
      ->type_name("")
      ->required();
  command->callback([=, &line] {
    line.run = [=](Context& context) {
      return RunTtl(*session, *ttl, context);
    };
  });
}

void AddDelete(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      AddCommand(app, "delete", "Delete sessions and all they remember", R"(
Examples:
  mneme delete chat --yes
  mneme delete --namespace team --yes --wait)");
  auto options = std::make_shared<DeleteOptions>();
  command
      ->add_option("session", options->session, "Session, e.g. s1 or team/s1")
      ->type_name("");
  command
      ->add_option("--namespace", options->name_space,
                   "Every session of this namespace")
      ->type_name("NAME");
  command->add_flag("--yes", options->yes, "Really");
  command->add_flag("--wait", options->wait,
                    "Until their bytes have left the disk");
  command->callback([=, &line] {
    line.run = [options](Context& context) {
      return RunDelete(*options, context);
    };
  });
}

void AddOperation(CLI::App& app, CommandLine& line) {
  CLI::App* command = AddCommand(
      app, "operation", "Say whether forgotten bytes have left the disk");
  auto name = std::make_shared<std::string>();
  auto wait = std::make_shared<bool>(false);
  command->add_option("name", *name, "As forget and delete print it")
      ->type_name("")
      ->required();
  command->add_flag("--wait", *wait, "Until it is done");
  command->callback([=, &line] {
    line.run = [=](Context& context) {
      return RunOperation(*name, *wait, context);
    };
  });
}

void AddVerify(CLI::App& app, CommandLine& line) {
  CLI::App* command = AddCommand(
      app, "verify", "Recompute every checksum and view from the log", R"(
Exit code 6 when something is not as it should be.

Examples:
  mneme verify notes
  mneme verify --all          every session of the namespace "default"
  mneme verify --all team     every session of the namespace "team"
  mneme verify --forgotten    search the raw files for what was forgotten)");
  auto options = std::make_shared<VerifyOptions>();
  command
      ->add_option("session", options->session,
                   "Session, or with --all a namespace")
      ->type_name("");
  command->add_flag("--all", options->all, "Every session of a namespace");
  auto forgotten = std::make_shared<bool>(false);
  command
      ->add_flag("--forgotten", *forgotten,
                 "Search every file of the data directory, and the snapshots, "
                 "for forgotten bytes")
      ->excludes(command->get_option("session"))
      ->excludes(command->get_option("--all"));
  command->callback([=, &line] {
    line.run = [=](Context& context) {
      if (*forgotten) return RunVerifyForgotten(context);
      return RunVerify(*options, context);
    };
  });
}

void AddSnapshot(CLI::App& app, CommandLine& line) {
  CLI::App* command = AddCommand(
      app, "snapshot", "Copy the whole data directory, while it is written", R"(
Snapshots lie on the server, beside its data directory or where `mneme serve
--snapshots` says. They keep what is forgotten later: delete them too.

Examples:
  mneme snapshot create before-upgrade
  mneme snapshot list
  mneme restore ./mneme-data-snapshots/before-upgrade --data ./restored)");
  command->require_subcommand(1);
  auto name = std::make_shared<std::string>();
  CLI::App* create = AddCommand(*command, "create", "Make one");
  create
      ->add_option("name", *name,
                   "1 to 63 of a-z, 0-9, '.', '_' and '-' (default: the time)")
      ->type_name("");
  create->callback([=, &line] {
    line.run = [=](Context& context) {
      return RunSnapshotCreate(*name, context);
    };
  });
  AddCommand(*command, "list", "List them by name")->callback([&line] {
    line.run = RunSnapshotList;
  });
  CLI::App* remove = AddCommand(*command, "delete", "Delete one");
  remove->add_option("name", *name, "Its name")->type_name("")->required();
  remove->callback([=, &line] {
    line.run = [=](Context& context) {
      return RunSnapshotDelete(*name, context);
    };
  });
}

void AddRestore(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      AddCommand(app, "restore", "Copy a snapshot into an empty directory", R"(
The directory is named by --data and must be empty or missing. The snapshot
stays as it is. If it is interrupted, run it again.

Example:
  mneme restore ./mneme-data-snapshots/before-upgrade --data ./restored)");
  auto directory = std::make_shared<std::string>();
  command->add_option("snapshot", *directory, "Directory of the snapshot")
      ->type_name("")
      ->required();
  command->callback([=, &line] {
    line.run = [=](Context& context) {
      return RunRestore(*directory, context);
    };
  });
}

void AddExport(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      AddCommand(app, "export", "Write a session into a directory", R"(
The directory is made, whole or not at all: JSON Lines for text, safetensors for
keys and values, with counts and checksums; doc/export.md describes it. What was
forgotten is not in it.

Example:
  mneme export notes --out notes.export)");
  auto options = std::make_shared<ExportOptions>();
  AddSession(command, options->session);
  command->add_option("--out", options->out, "Directory to make")
      ->type_name("DIR")
      ->required();
  command->callback([=, &line] {
    line.run = [options](Context& context) {
      return RunExport(*options, context);
    };
  });
}

void AddUpkeep(CLI::App& app, CommandLine& line) {
  AddCommand(app, "compact",
             "Rewrite the store, so that deleted bytes leave the disk")
      ->callback([&line] { line.run = RunCompact; });
  AddCommand(app, "doctor", "Say what is wrong, and what to do about it", R"(
Looks at the server, or with --data at a directory that no server has open; a
server that does not answer is a finding too. Reads every record once.
Exit code 6 when something is broken, 0 when there are only warnings.)")
      ->callback([&line] { line.run = RunDoctor; });
}

void AddImport(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      AddCommand(app, "import", "Make a session of an exported one", R"(
It answers like the exported one, or is not made at all.

Examples:
  mneme import notes.export --session notes2
  mneme import notes.export --dry-run         only check the files)");
  auto options = std::make_shared<ImportOptions>();
  command->add_option("directory", options->directory, "What export wrote")
      ->type_name("")
      ->required();
  command->add_option("--session", options->session,
                      "Session to make (default: as it was called)");
  command->add_flag("--dry-run", options->dry_run,
                    "Check the files, and make nothing");
  command->callback([=, &line] {
    line.run = [options](Context& context) {
      return RunImport(*options, context);
    };
  });
}

void AddCredentials(CLI::App& app, Credentials& credentials) {
  app.add_option("--token-file", credentials.token_file,
                 "File of the token that the server asks for (default: "
                 "$MNEME_TOKEN_FILE, else the token in $MNEME_TOKEN)")
      ->type_name("FILE");
  app.add_flag("--tls", credentials.tls,
               "Speak TLS with a server whose certificate the system trusts");
  app.add_option("--tls-ca", credentials.ca_file,
                 "Speak TLS with a server whose certificate one of this PEM "
                 "file signed (default: $MNEME_TLS_CA)")
      ->type_name("FILE");
  app.add_option("--tls-cert", credentials.cert_file,
                 "PEM file of the client's certificate, for mutual TLS "
                 "(default: $MNEME_TLS_CERT)")
      ->type_name("FILE");
  app.add_option("--tls-key", credentials.key_file,
                 "PEM file of its private key (default: $MNEME_TLS_KEY)")
      ->type_name("FILE");
  app.add_flag("--allow-plaintext-token", credentials.plaintext_token,
               "Send the token to another machine without TLS");
}

void AddGlobal(CLI::App& app, CommandLine& line) {
  app.footer(kFooter);
  app.set_version_flag("--version", "mneme " MNEME_VERSION);
  app.require_subcommand(1);
  app.add_option("--server", line.global.server,
                 "host:port or unix:/path (default: $MNEME_SERVER, else "
                 "127.0.0.1:7788)")
      ->type_name("ADDR");
  AddCredentials(app, line.global.credentials);
  app.add_option("--data", line.global.data_dir,
                 "Work on this directory without a server")
      ->type_name("DIR");
  app.add_option("-o,--output", line.output, "text or json")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"text", "json"}));
  app.add_option("--timeout", line.global.timeout_seconds,
                 "For one call (default 120; 3600 for verify and forget; none "
                 "for export and import)")
      ->type_name("SECONDS")
      ->check(CLI::PositiveNumber);
  app.add_option("--traceparent", line.global.traceparent,
                 "W3C trace context of every call (default: $TRACEPARENT)")
      ->type_name("VALUE")
      ->check([](const std::string& value) -> std::string {
        if (base::IsTraceParent(value)) return "";
        return absl::StrCat("got ", base::Quoted(value),
                            "; expected 00-TRACE-SPAN-FLAGS, 32, 16 and 2 "
                            "hexadecimal digits in lower case");
      });
}

void AddPassedOn(CLI::App& app, CommandLine& line, const std::string& name,
                 const std::string& help) {
  AddCommand(app, name, help)->callback([&line, name] {
    line.run = [name](Context&) {
      return base::InvalidField(name, "flags before it",
                                name + " as the first argument");
    };
  });
}

void AddCommands(CLI::App& app, CommandLine& line) {
  // Only for --help: RunCli has passed them on before anything is parsed.
  AddPassedOn(app, line, kServe, "Run a server (see mneme serve --help)");
  AddAppend(app, line);
  AddRecall(app, line);
  AddContext(app, line);
  AddAttend(app, line);
  AddSessions(app, line);
  AddShow(app, line);
  AddStats(app, line);
  AddTokens(app, line);
  AddCreate(app, line);
  AddProfiles(app, line);
  AddCommit(app, line);
  AddForget(app, line);
  AddFork(app, line);
  AddTtlCommand(app, line);
  AddDelete(app, line);
  AddOperation(app, line);
  AddVerify(app, line);
  AddSnapshot(app, line);
  AddRestore(app, line);
  AddUpkeep(app, line);
  AddExport(app, line);
  AddImport(app, line);
  AddPassedOn(app, line, kToken,
              "Make and revoke tokens (see mneme token --help)");
}

absl::Status UsageError(const CLI::App& app, const CLI::ParseError& error) {
  return base::Error(absl::StatusCode::kInvalidArgument,
                     base::UsageMessage(app, error), {.reason = "USAGE"});
}

// Whether errors are to be JSON, asked of a line that may not parse.
bool WantsJson(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "-ojson" || word == "-o=json" || word == "--output=json") {
      return true;
    }
    if ((word == "-o" || word == "--output") && i + 1 < argc &&
        std::strcmp(argv[i + 1], "json") == 0) {
      return true;
    }
  }
  return false;
}

}  // namespace

int RunCli(int argc, const char* const* argv, const ServerHooks& hooks) {
  for (const auto& [name, run] :
       {std::pair(kServe, &hooks.serve), std::pair(kToken, &hooks.token)}) {
    if (argc < 2 || std::strcmp(argv[1], name) != 0) continue;
    std::vector<const char*> arguments(argv, argv + argc);
    arguments.erase(arguments.begin() + 1);
    arguments.push_back(nullptr);
    return (*run)(argc - 1, arguments.data());
  }
  CLI::App app("Mneme, a memory server for language models.\n", "mneme");
  CommandLine line;
  AddGlobal(app, line);
  AddCommands(app, line);
  if (argc < 2) {
    std::cerr << app.help();
    return kExitUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help_or_version) {
    return app.exit(help_or_version, std::cout, std::cerr);
  } catch (const CLI::ParseError& error) {
    PrintError(UsageError(app, error), WantsJson(argc, argv), std::cerr);
    return kExitUsage;
  }
  line.global.json = line.output == "json";
  Context context(line.global, hooks, StandardTerminal());
  absl::StatusOr<int> code = line.run(context);
  if (code.ok() && !context.out().flush()) {
    code = absl::DataLossError("the answer could not be written to the output");
  }
  if (code.ok()) return *code;
  const absl::Status status =
      WithNearestSession(context.Explain(code.status()), context);
  PrintError(status, context.json(), context.err());
  return ExitCodeOf(status);
}

}  // namespace mneme::client
