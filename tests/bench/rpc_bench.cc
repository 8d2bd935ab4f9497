// A small read through gRPC on the loopback against a call that does nothing.

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "client/client.h"
#include "service/convert_tensor.h"
#include "service/server.h"
#include "tests/bench/contest.h"
#include "tests/bench/data.h"
#include "tests/testing/map_store.h"

namespace mneme::bench {
namespace {

constexpr uint32_t kDim = 64;
constexpr uint64_t kTokens = 128;
constexpr char kSession[] = "namespaces/bench/sessions/s";

// One call of grpc.health.v1, whose request may be empty: what gRPC costs.
class Health {
 public:
  explicit Health(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(channel) {}
  ~Health() { queue_.Shutdown(); }

  void Check() {
    grpc::ClientContext context;
    const grpc::Slice nothing;
    const auto call =
        stub_.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check",
                               grpc::ByteBuffer(&nothing, 1), &queue_);
    call->StartCall();
    grpc::ByteBuffer response;
    grpc::Status status;
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue_.Next(&tag, &ok);
    if (!ok || !status.ok()) Fail("health: " + status.error_message());
  }

 private:
  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
};

class Bench {
 public:
  Bench(int argc, const char* const* argv)
      : arena_("rpc", argc, argv),
        random_(Seed()),
        server_(
            Get(service::Server::Start(std::make_unique<testing::MapStore>(),
                                       {.listen = {"127.0.0.1:0"}}, &clock_))),
        channel_(client::Connect(server_->addresses().front())),
        client_(channel_),
        health_(channel_) {
    v1::CreateSessionRequest create;
    create.set_session(kSession);
    create.mutable_profile()->set_key_dim(kDim);
    create.mutable_profile()->set_data_type(v1::DATA_TYPE_FLOAT32);
    create.mutable_profile()->mutable_window()->set_tokens(kTokens);
    Get(client_.CreateSession(create));
    v1::AppendRequest append;
    append.set_session(kSession);
    Fill(kTokens, append.mutable_tokens()->mutable_keys());
    Fill(kTokens, append.mutable_tokens()->mutable_values());
    Get(client_.Append(append));
  }

  void Run() {
    v1::AttendRequest attend;
    attend.set_session(kSession);
    v1::Tensor* queries = attend.add_reads()->mutable_queries();
    service::SetFloats(Normals(kDim, random_), {1, 1, kDim}, queries);
    Race("attend_128_tokens", [&] { Get(client_.Attend(attend)); });
    Race("get_session", [&] { Get(client_.GetSession(kSession)); });
  }

 private:
  void Fill(int64_t tokens, v1::Tensor* tensor) {
    service::SetFloats(Normals(tokens * kDim, random_), {1, 1, tokens, kDim},
                       tensor);
  }

  void Race(const std::string& name, const std::function<void()>& ours) {
    arena_.Compare({.name = name,
                    .unit = "us",
                    .work = 1e6,
                    .kind = Contest::Kind::kLatency,
                    .against = "gRPC health check"},
                   ours, [this] { health_.Check(); });
  }

  const Arena arena_;
  std::mt19937_64 random_;
  base::RealClock clock_;
  std::unique_ptr<service::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  client::Client client_;
  Health health_;
};

}  // namespace
}  // namespace mneme::bench

int main(int argc, char** argv) {
  // A line for each request would measure the terminal.
  mneme::base::SetLogLevel(mneme::base::LogLevel::kWarning);
  mneme::bench::Bench(argc, argv).Run();
}
