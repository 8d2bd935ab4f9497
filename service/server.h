// service/server.h: a running server: memory, threads, and a door to the world.

#ifndef MNEME_SERVICE_SERVER_H_
#define MNEME_SERVICE_SERVER_H_

#include <grpcpp/channel.h>
#include <grpcpp/server.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "memory/background.h"
#include "memory/memory.h"
#include "memory/store.h"
#include "service/access.h"
#include "service/admin_service.h"
#include "service/door.h"
#include "service/executor.h"
#include "service/limits.h"
#include "service/memory_service.h"
#include "service/metrics.h"
#include "service/metrics_server.h"
#include "service/tls.h"
#include "service/transfer_service.h"

namespace mneme::service {

struct ServerOptions {
  // ListenAddress's forms. None: reached through InProcessChannel only.
  std::vector<std::string> listen = {};
  // "host:port" of the metrics. Empty: not served.
  std::string metrics_listen = "";
  // Allows addresses that other machines can reach, however callers are let in.
  bool allow_remote = false;
  // Who may call, as in access_table.h. Empty: everybody who can connect.
  std::string tokens_file = {};
  // TLS on every address but sockets in the file system. Empty: none.
  TlsFiles tls = {};
  // Threads that work; 0: one for each processor, at least two.
  int threads = 0;
  // Requests that may wait for a thread.
  int queue = 1024;
  // Where the store lies, to search its files and tell its disk's free space;
  // empty: neither.
  std::string data_dir = "";
  // Where snapshots are made; empty: nowhere.
  std::string snapshots_dir = "";
  // Limits of namespaces, see limit_table.h; read again when it changes. Empty:
  // none.
  std::string limits_file = "";
  // A stream whose client is waited for so long is ended; 0: only one that
  // sends nothing at all, see OpenStreams.
  std::chrono::milliseconds stream_idle = OpenStreams::kIdle;
  // What Drain gives to requests that are under way.
  std::chrono::milliseconds drain = std::chrono::seconds(8);
};

// Threads:  any.
class Server {
 public:
  // Opens the memory in `store`, then listens: who can connect is served, and
  // grpc.health.v1 says SERVING.
  // Errors:   INVALID_ARGUMENT for options out of range, a file of tokens or of
  //           TLS that cannot be used; FAILED_PRECONDITION
  //           NOT_LOOPBACK, ADDRESS_IN_USE; those of Memory::Open.
  // Lifetime: `clock` outlives the server.
  static absl::StatusOr<std::unique_ptr<Server>> Start(
      std::unique_ptr<memory::Store> store, const ServerOptions& options,
      const base::Clock* clock);
  // Drains.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Where it listens, in the order of the options, with the ports bound.
  const std::vector<std::string>& addresses() const { return addresses_; }
  // Empty when no metrics are served.
  const std::string& metrics_address() const { return metrics_address_; }

  // A channel that needs no network, good while the server is.
  std::shared_ptr<grpc::Channel> InProcessChannel();

  // Health says NOT_SERVING, new calls get UNAVAILABLE DRAINING, streams end
  // after their step; calls under way finish, or are cancelled after
  // `options.drain`; then the ports are closed. Returns when all that is done.
  // Again: nothing.
  void Drain();

 private:
  Server(std::unique_ptr<Metrics> metrics,
         std::unique_ptr<memory::Memory> memory, std::unique_ptr<Access> access,
         const ServerOptions& options, const base::Clock* clock);
  absl::Status Listen();
  absl::Status ServeMetrics();
  void EndIdleStreams();
  Metrics::Levels LevelsNow() const;

  const ServerOptions options_;
  const std::unique_ptr<Metrics> metrics_;  // The store counts to the last.
  const std::unique_ptr<memory::Memory> memory_;
  const std::unique_ptr<Access> access_;  // Null: everybody may everything.
  Limits limits_;
  Executor executor_;
  Door door_;
  MemoryService service_;
  AdminService admin_;
  TransferService transfer_service_;
  std::vector<std::string> addresses_;
  std::string metrics_address_;
  std::unique_ptr<grpc::Server> server_;
  base::Mutex drain_mutex_;
  bool drained_ ABSL_GUARDED_BY(drain_mutex_) = false;
  std::unique_ptr<memory::Background> idle_streams_;
  // Last, so that nobody scrapes what is being destroyed.
  std::unique_ptr<MetricsServer> metrics_server_;
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_SERVER_H_
