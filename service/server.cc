#include "service/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "attention/kernels.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "service/convert_tensor.h"
#include "service/library_threads.h"
#include "service/listen_address.h"
#include "service/observed_store.h"
#include "service/stored.h"

namespace mneme::service {
namespace {

// Clients may ping this often to keep a connection through NATs alive; gRPC's
// default of five minutes would close connections of well-behaved clients.
constexpr int kPingIntervalMinMs = 20'000;

// A client that vanished without a word, and what it holds, is gone after both.
constexpr int kKeepaliveMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 20'000;

// Bytes that gRPC may hold for all connections together: a few of the largest
// messages. Beyond it, connections wait.
constexpr size_t kTransportBytesMax = size_t{1} << 30;
constexpr int kStreamsPerConnectionMax = 128;

// What answers that are computed are given to leave the process.
constexpr std::chrono::milliseconds kFlush{500};

constexpr int kThreadsMax = 1024;
constexpr int kQueueMax = 1 << 20;

// Whether a caller on a port must show who it is, and nobody else can listen.
bool IsProtected(const ServerOptions& options) {
  return !options.tls.none() &&
         (!options.tokens_file.empty() || !options.tls.client_ca.empty());
}

absl::Status CheckOptions(const ServerOptions& options) {
  if (options.threads < 0 || options.threads > kThreadsMax) {
    return base::InvalidField("threads", absl::StrCat(options.threads),
                              absl::StrCat("0 to ", kThreadsMax));
  }
  if (options.queue < 1 || options.queue > kQueueMax) {
    return base::InvalidField("queue", absl::StrCat(options.queue),
                              absl::StrCat("1 to ", kQueueMax));
  }
  for (const std::string& text : options.listen) {
    ASSIGN_OR_RETURN(const auto address, ParseListenAddress(text, "listen"));
    if (options.allow_remote || IsProtected(options)) continue;
    RETURN_IF_ERROR(CheckLocal(
        address, "listen",
        "a server without --tokens and TLS, or TLS with --tls-client-ca, lets "
        "anybody there read and delete every session, or listen to it. Give "
        "those"));
  }
  RETURN_IF_ERROR(CheckTls(options.tls));
  if (options.metrics_listen.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(
      const auto metrics,
      ParseListenAddress(options.metrics_listen, "metrics_listen"));
  if (metrics.is_unix()) {
    return base::InvalidField("metrics_listen", options.metrics_listen,
                              "host:port");
  }
  if (options.allow_remote) return absl::OkStatus();
  return CheckLocal(metrics, "metrics_listen",
                    "metrics are shown to whoever asks. Give no address for "
                    "them");
}

// Reads are waited for: where cores are short, the system is to run them first.
// Threads that take writes too go a little behind, and never come back.
constexpr int kWriteNiceness = 10;

void SetUpThread(bool only_reads) {
  UseOneLibraryThread();
  if (only_reads) return;
  // Of this thread, not of the process; a failure costs only the precedence.
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)),
              kWriteNiceness);
}

// Whether other machines reach one of the addresses without showing anything.
bool IsOpenToAll(const ServerOptions& options) {
  if (!options.tokens_file.empty() || !options.tls.client_ca.empty()) {
    return false;
  }
  return std::any_of(options.listen.begin(), options.listen.end(),
                     [](const std::string& text) {
                       const auto address = ParseListenAddress(text, "listen");
                       return address.ok() && !address->is_local();
                     });
}

int ThreadsOf(const ServerOptions& options) {
  if (options.threads > 0) return options.threads;
  // Two at least: a long write keeps one.
  return std::max(2, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(
    std::unique_ptr<memory::Store> store, const ServerOptions& options,
    const base::Clock* clock) {
  RETURN_IF_ERROR(CheckOptions(options));
  std::unique_ptr<Access> access;
  if (!options.tokens_file.empty()) {
    ASSIGN_OR_RETURN(access, Access::Open(options.tokens_file, clock));
  }
  auto metrics = std::make_unique<Metrics>(
      MNEME_VERSION, std::string(attention::KernelTarget()));
  const auto begin = clock->Ticks();
  ASSIGN_OR_RETURN(auto memory, memory::Memory::Open(
                                    std::make_unique<ObservedStore>(
                                        std::move(store), metrics.get(), clock),
                                    clock));
  metrics->Recovered(
      std::chrono::duration<double>(clock->Ticks() - begin).count());
  std::unique_ptr<Server> server(new Server(std::move(metrics),
                                            std::move(memory),
                                            std::move(access), options, clock));
  if (!options.limits_file.empty()) {
    RETURN_IF_ERROR(server->limits_.Follow(options.limits_file));
  }
  RETURN_IF_ERROR(server->Listen());
  RETURN_IF_ERROR(server->ServeMetrics());
  server->EndIdleStreams();
  return server;
}

Server::Server(std::unique_ptr<Metrics> metrics,
               std::unique_ptr<memory::Memory> memory,
               std::unique_ptr<Access> access, const ServerOptions& options,
               const base::Clock* clock)
    : options_(options),
      metrics_(std::move(metrics)),
      memory_(std::move(memory)),
      access_(std::move(access)),
      limits_(clock, StoredIn(memory_.get())),
      executor_({.threads = ThreadsOf(options),
                 .queue_tasks = static_cast<size_t>(options.queue),
                 .on_thread_start = SetUpThread,
                 .on_task_start =
                     [this](Executor::Priority priority, auto waited) {
                       metrics_->Waited(
                           priority,
                           std::chrono::duration<double>(waited).count());
                     },
                 .clock = clock}),
      door_(&executor_, metrics_.get(), &limits_, clock, access_.get()),
      service_(memory_.get(), &door_, metrics_.get(), &limits_, clock),
      admin_(memory_.get(), &door_, clock,
             {.data_dir = options.data_dir,
              .snapshots_dir = options.snapshots_dir,
              .open_to_all = IsOpenToAll(options)}),
      transfer_service_(memory_.get(), &door_, &limits_, clock) {}

Server::~Server() { Drain(); }

absl::Status Server::ServeMetrics() {
  if (options_.metrics_listen.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(
      const auto address,
      ParseListenAddress(options_.metrics_listen, "metrics_listen"));
  ASSIGN_OR_RETURN(metrics_server_,
                   MetricsServer::Start(address.host, address.port, [this] {
                     return metrics_->Text(LevelsNow());
                   }));
  metrics_address_ = address.ToString(metrics_server_->port());
  return absl::OkStatus();
}

Metrics::Levels Server::LevelsNow() const {
  const memory::Memory::Counts counts = memory_->Count();
  Metrics::Levels levels = {
      .queued = executor_.queued(),
      .queue_capacity = static_cast<uint64_t>(options_.queue),
      .sessions = counts.sessions,
      .open_sessions = counts.open_sessions,
      .open = memory_->CountOpen(),
      .attend_streams = service_.open_streams(),
      .transfer_streams = transfer_service_.open_streams(),
      .pending_operations = counts.pending_operations,
      .disk_bytes = counts.disk_bytes};
  struct statvfs disk = {};
  if (!options_.data_dir.empty() &&
      statvfs(options_.data_dir.c_str(), &disk) == 0) {
    // What a process without privileges may use.
    levels.disk_free_bytes = uint64_t{disk.f_bavail} * disk.f_frsize;
    levels.disk_size_bytes = uint64_t{disk.f_blocks} * disk.f_frsize;
  }
  return levels;
}

void Server::EndIdleStreams() {
  // Looks often enough that none is idle much longer than said.
  const std::chrono::milliseconds shortest =
      options_.stream_idle.count() == 0
          ? OpenStreams::kFirstMessage
          : std::min<std::chrono::milliseconds>(options_.stream_idle,
                                                OpenStreams::kFirstMessage);
  const auto interval = std::max(shortest / 8, std::chrono::milliseconds(10));
  idle_streams_ = std::make_unique<memory::Background>(
      [this] {
        service_.EndIdleStreams(options_.stream_idle);
        transfer_service_.EndIdleStreams(options_.stream_idle);
        return false;
      },
      interval);
}

absl::Status Server::Listen() {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMessageBytesMax);
  builder.SetMaxSendMessageSize(kMessageBytesMax);
  builder.AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
      kPingIntervalMinMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             kKeepaliveTimeoutMs);
  // What gRPC may hold of requests that are not admitted yet.
  grpc::ResourceQuota quota("mneme");
  quota.Resize(kTransportBytesMax);
  builder.SetResourceQuota(quota);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             kStreamsPerConnectionMax);
  // Else a second server on the same port would silently take half the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Sized before the builder keeps pointers into it.
  std::vector<int> ports(options_.listen.size(), 0);
  for (size_t i = 0; i < ports.size(); ++i) {
    ASSIGN_OR_RETURN(const auto address,
                     ParseListenAddress(options_.listen[i], "listen"));
    // Who reaches a socket in the file system is the file system's business.
    const bool plain = options_.tls.none() || address.is_unix();
    builder.AddListeningPort(options_.listen[i],
                             plain ? grpc::InsecureServerCredentials()
                                   : TlsCredentials(options_.tls),
                             &ports[i]);
  }
  builder.RegisterService(&service_);
  builder.RegisterService(&admin_);
  builder.RegisterService(&transfer_service_);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) {
    return base::Error(
        absl::StatusCode::kFailedPrecondition,
        absl::StrCat("cannot listen on ", absl::StrJoin(options_.listen, ", "),
                     "; is another server there? Choose other addresses with "
                     "--listen, and --metrics-listen"),
        {.reason = "ADDRESS_IN_USE",
         .field = "listen",
         .metadata = {},
         .retry_after = {}});
  }
  for (size_t i = 0; i < ports.size(); ++i) {
    ASSIGN_OR_RETURN(const auto address,
                     ParseListenAddress(options_.listen[i], "listen"));
    addresses_.push_back(address.ToString(ports[i]));
  }
  grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
  health->SetServingStatus(true);
  health->SetServingStatus(v1::MemoryService::service_full_name(), true);
  health->SetServingStatus(v1::TransferService::service_full_name(), true);
  return absl::OkStatus();
}

std::shared_ptr<grpc::Channel> Server::InProcessChannel() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
  arguments.SetMaxSendMessageSize(kMessageBytesMax);
  return server_->InProcessChannel(arguments);
}

void Server::Drain() {
  base::MutexLock lock(&drain_mutex_);
  if (drained_) return;
  drained_ = true;
  if (server_ == nullptr) return;  // Never listened.
  server_->GetHealthCheckService()->SetServingStatus(false);
  service_.Drain();
  transfer_service_.Drain();
  const auto deadline = std::chrono::system_clock::now() + options_.drain;
  // gRPC's own shutdown would wait for calls that never end, as a health watch;
  // only our work is worth waiting for.
  std::promise<void> finished;
  std::thread finish([this, &finished] {
    executor_.Stop();
    finished.set_value();
  });
  finished.get_future().wait_until(deadline);
  // Work that still runs sees its call cancelled, or its compaction ended, and
  // gives up.
  memory_->store().Interrupt();
  server_->Shutdown(std::chrono::system_clock::now() + kFlush);
  server_->Wait();
  finish.join();
}

}  // namespace mneme::service
