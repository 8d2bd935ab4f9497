#include "service/serve.h"

#include <grpc/support/log.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/usage.h"
#include "memory/data_dir.h"
#include "memory/rocks_store.h"
#include "service/library_threads.h"
#include "service/offline.h"
#include "service/stop_signal.h"

namespace mneme::service {
namespace {

// CLI11 takes "nan", which passes every range.
const CLI::Validator kNumber(
    [](const std::string& text) {
      return text.find_first_not_of("0123456789.eE+-") == std::string::npos
                 ? std::string()
                 : text + " is not a number";
    },
    "");

// The exit codes of the command line, see `mneme --help`.
constexpr int kExitOk = 0;
constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitRefused = 5;

constexpr char kExamples[] = R"(
Examples:
  mneme serve
      on 127.0.0.1:7788, data in ./mneme-data
  mneme serve --data /var/lib/mneme --listen unix:/run/mneme.sock
      on a socket that only this machine can reach
  mneme serve --listen 127.0.0.1:0 --ready-file /tmp/mneme.ready
      on a free port, which stands in the file as soon as it serves
  mneme serve --listen 0.0.0.0:7788 --tokens tokens.json \
      --tls-cert server.pem --tls-key server.key
      for other machines; `mneme token --help` shows how to make tokens
  mneme serve --config mneme.toml
      as the file says: data = "/var/lib/mneme", threads = 8, ...

SIGTERM or SIGINT: finish what runs, then exit 0; a second one: exit at once.
Exit codes: 0 stopped, 1 failed, 2 wrong flags, 5 refused (data directory or
port in use, an address other machines can reach).
)";

struct Flags {
  std::string data = "./mneme-data";
  ServerOptions server{.listen = {"127.0.0.1:7788"},
                       .metrics_listen = "127.0.0.1:9464"};
  double drain_seconds = 8;
  double stream_idle_seconds = OpenStreams::kIdle.count();
  base::LogLevel log_level = base::LogLevel::kInfo;
  std::string ready_file;
};

// Below Docker's ten seconds between SIGTERM and SIGKILL by default; an hour is
// surely a mistake.
constexpr double kDrainSecondsMax = 3600;
constexpr double kStreamIdleSecondsMax = 30 * 24 * 3600;

void AddFlags(CLI::App& app, Flags& flags) {
  app.set_config("--config", "",
                 "TOML or INI file with the same settings: listen = "
                 "[\"127.0.0.1:7788\"]. Flags win");
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.add_option("--data", flags.data,
                 "Directory of everything that is remembered; created when "
                 "missing")
      ->capture_default_str();
  app.add_option("--snapshots", flags.server.snapshots_dir,
                 "Directory of the snapshots (default: that of --data with "
                 "-snapshots behind its name)");
  app.add_option("--listen", flags.server.listen,
                 "host:port (port 0: a free one) or unix:/path; may be "
                 "repeated")
      ->allow_extra_args(false)
      ->capture_default_str();
  app.add_option("--metrics-listen", flags.server.metrics_listen,
                 "host:port of /metrics for Prometheus; \"\" for none")
      ->capture_default_str();
  app.add_flag("--allow-remote", flags.server.allow_remote,
               "Allow addresses that other machines can reach although the "
               "server does not ask who calls, or in clear text: protect the "
               "port yourself");
  app.add_option(
         "--tokens", flags.server.tokens_file,
         "File of who may do what, made by `mneme token`; changes count "
         "within a second. Without it, whoever connects may do all")
      ->type_name("FILE");
  app.add_option(
         "--tls-cert", flags.server.tls.certificate,
         "PEM file of the server's certificate and those that signed "
         "it: host:port addresses then speak TLS. May be replaced while "
         "the server runs, as the next two")
      ->type_name("FILE");
  app.add_option("--tls-key", flags.server.tls.key,
                 "PEM file of its private key")
      ->type_name("FILE");
  app.add_option("--tls-client-ca", flags.server.tls.client_ca,
                 "PEM file of who signs clients' certificates: clients without "
                 "one are turned away (mutual TLS)")
      ->type_name("FILE");
  app.add_option("--threads", flags.server.threads,
                 "Threads that work; 0: one for each processor")
      ->capture_default_str();
  app.add_option("--queue", flags.server.queue,
                 "Requests that may wait for a thread; more are refused with "
                 "RESOURCE_EXHAUSTED")
      ->capture_default_str();
  app.add_option("--limits", flags.server.limits_file,
                 "JSON file of what namespaces may use, read again when it "
                 "changes: {\"default\": {\"sessions\": 1000}, "
                 "\"namespaces\": {...}}. Limits: bytes, sessions, "
                 "appends_per_second, appends_burst, in_flight, "
                 "in_flight_bytes");
  app.add_option("--stream-idle-seconds", flags.stream_idle_seconds,
                 "A stream that sends nothing, or does not read, for so long "
                 "is ended; 0: never")
      ->check(CLI::Range(0.0, kStreamIdleSecondsMax) & kNumber)
      ->capture_default_str();
  app.add_option("--drain-seconds", flags.drain_seconds,
                 "What requests under way are given after SIGTERM")
      ->check(CLI::Range(0.0, kDrainSecondsMax) & kNumber)
      ->capture_default_str();
  const std::map<std::string, base::LogLevel> levels = {
      {"debug", base::LogLevel::kDebug},
      {"info", base::LogLevel::kInfo},
      {"warning", base::LogLevel::kWarning},
      {"error", base::LogLevel::kError},
      {"off", base::LogLevel::kOff}};
  app.add_option("--log-level", flags.log_level,
                 "debug, info, warning, error or off; one JSON line per "
                 "request on stderr from info on")
      ->transform(CLI::CheckedTransformer(levels).description(""))
      ->default_str("info");
  app.add_option("--ready-file", flags.ready_file,
                 "File that holds the bound addresses, one a line, while the "
                 "server serves");
  app.footer(kExamples);
}

int ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return kExitUsage;
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kPermissionDenied:
      return kExitRefused;
    default:
      return kExitFailed;
  }
}

// Whoever waits for the file sees all of it or nothing.
absl::Status WriteReadyFile(const std::string& path,
                            const std::vector<std::string>& addresses) {
  if (path.empty()) return absl::OkStatus();
  const std::string partial = absl::StrCat(path, ".", getpid());
  std::ofstream file(partial, std::ios::trunc);
  file << absl::StrJoin(addresses, "\n") << "\n";
  file.close();
  if (file && std::rename(partial.c_str(), path.c_str()) == 0) {
    return absl::OkStatus();
  }
  std::remove(partial.c_str());
  return absl::UnknownError(absl::StrCat("cannot write ready file ", path));
}

void LogGrpc(gpr_log_func_args* args) {
  if (args->severity != GPR_LOG_SEVERITY_ERROR) return;
  base::Log(base::LogLevel::kWarning, "grpc",
            {{"message", std::string(args->message)}});
}

// The same line for a failure at every stage.
int Report(const absl::Status& status) {
  std::cerr << "mneme serve: " << std::string(status.message()) << "\n";
  return ExitCodeOf(status);
}

absl::Status RunUntilSignal(const Flags& flags) {
  const base::RealClock clock;
  RETURN_IF_ERROR(
      memory::CheckDataDir(flags.data, memory::MissingDataDir::kCreate));
  ASSIGN_OR_RETURN(auto store, memory::OpenRocksStore(flags.data));
  ASSIGN_OR_RETURN(const auto server,
                   Server::Start(std::move(store), flags.server, &clock));
  // Before, a signal ends the process as it ends any; nothing needs draining.
  CatchStopSignals();
  RETURN_IF_ERROR(WriteReadyFile(flags.ready_file, server->addresses()));
  base::Log(base::LogLevel::kInfo, "serving",
            {{"listen", absl::StrJoin(server->addresses(), " ")},
             {"metrics", server->metrics_address()},
             {"data", flags.data},
             {"tokens", flags.server.tokens_file},
             {"tls", !flags.server.tls.none()},
             {"version", std::string(MNEME_VERSION)}});
  const int signal = WaitForStopSignal();
  base::Log(base::LogLevel::kInfo, "draining",
            {{"signal", int64_t{signal}}, {"seconds", flags.drain_seconds}});
  if (!flags.ready_file.empty()) std::remove(flags.ready_file.c_str());
  server->Drain();
  base::Log(base::LogLevel::kInfo, "stopped");
  return absl::OkStatus();
}

}  // namespace

int Serve(int argc, const char* const* argv) {
  UseOneLibraryThread();
  gpr_set_log_function(LogGrpc);
  Flags flags;
  CLI::App app("Serves memory to language models over gRPC.", "mneme serve");
  AddFlags(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // Asked for help.
      app.exit(error);
      return kExitOk;
    }
    std::cerr << "mneme serve: " << base::UsageMessage(app, error) << "\n";
    return kExitUsage;
  }
  flags.server.data_dir = flags.data;
  flags.server.stream_idle = std::chrono::milliseconds(
      static_cast<int64_t>(flags.stream_idle_seconds * 1000));
  flags.server.drain = std::chrono::milliseconds(
      static_cast<int64_t>(flags.drain_seconds * 1000));
  if (flags.server.snapshots_dir.empty()) {
    flags.server.snapshots_dir = SnapshotsDirOf(flags.data);
  }
  base::SetLogLevel(flags.log_level);
  const absl::Status status = RunUntilSignal(flags);
  return status.ok() ? kExitOk : Report(status);
}

absl::StatusOr<std::shared_ptr<InProcess>> OpenInProcess(
    const std::string& data_dir, bool create) {
  UseOneLibraryThread();
  gpr_set_log_function(LogGrpc);
  base::SetLogLevel(base::LogLevel::kWarning);
  auto clock = std::make_unique<base::RealClock>();
  RETURN_IF_ERROR(
      memory::CheckDataDir(data_dir, create ? memory::MissingDataDir::kCreate
                                            : memory::MissingDataDir::kRefuse));
  ASSIGN_OR_RETURN(auto store, memory::OpenRocksStore(data_dir));
  ASSIGN_OR_RETURN(auto server,
                   Server::Start(std::move(store),
                                 {.data_dir = data_dir,
                                  .snapshots_dir = SnapshotsDirOf(data_dir)},
                                 clock.get()));
  return std::make_shared<InProcess>(std::move(clock), std::move(server));
}

}  // namespace mneme::service
