// How much a flood of appends slows down interactive reads: p99 of Recall and
// Attend beside it, against p99 without it, in one run and in turns, of which
// the median is printed: the machine has other things to do as well.
// The flood has its own namespace and sessions, and its clients run at the
// lowest priority of the machine, since they stand for other machines. `ratio`
// is the time without the flood by the time beside it: 0.5 is twice as slow.

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "client/client.h"
#include "memory/rocks_store.h"
#include "service/convert_tensor.h"
#include "service/server.h"
#include "tests/bench/data.h"
#include "tests/bench/scratch_dir.h"

namespace mneme::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr uint32_t kDim = 64;
constexpr int64_t kAppendTokens = 256;
constexpr int kFloodClients = 8;
constexpr char kText[] = "namespaces/people/sessions/text";
constexpr char kTokens[] = "namespaces/people/sessions/tokens";

struct Sizes {
  int64_t tokens = 32 * 1024;  // That Attend reads.
  size_t text_bytes = 400'000;
  int reads = 300;  // In one turn.
  int turns = 9;
};

double Percentile(std::vector<double> numbers, double share) {
  const auto at = static_cast<size_t>(share * (numbers.size() - 1));
  std::nth_element(numbers.begin(), numbers.begin() + at, numbers.end());
  return numbers[at];
}

class Bench {
 public:
  Bench(int threads, const Sizes& sizes)
      : threads_(threads),
        sizes_(sizes),
        random_(Seed()),
        server_(Get(service::Server::Start(
            Get(memory::OpenRocksStore(scratch_.Child("data"))),
            {.listen = {"127.0.0.1:0"}, .threads = threads}, &clock_))),
        client_(client::Connect(server_->addresses().front())) {
    CreateTokens(kTokens);
    for (int64_t at = 0; at < sizes_.tokens; at += 4096) {
      Get(client_.Append(
          TokensFor(kTokens, std::min<int64_t>(4096, sizes_.tokens - at))));
    }
    v1::CreateSessionRequest create;
    create.set_session(kText);
    create.set_profile_name("text");
    Get(client_.CreateSession(create));
    for (size_t at = 0; at < sizes_.text_bytes; at += 20'000) {
      v1::AppendRequest append;
      append.set_session(kText);
      append.mutable_text()->set_text(Prose(20'000, random_));
      Get(client_.Append(append));
    }
  }

  void Run() {
    v1::AttendRequest attend;
    attend.set_session(kTokens);
    service::SetFloats(Normals(kDim, random_), {1, 1, kDim},
                       attend.add_reads()->mutable_queries());
    Measure("attend", [&] { Get(client_.Attend(attend)); });
    v1::RecallRequest recall;
    recall.set_session(kText);
    recall.set_query(Prose(60, random_));
    recall.set_limit(10);
    Measure("recall", [&] { Get(client_.Recall(recall)); });
  }

 private:
  // Appends to sessions of its own from several clients until destroyed.
  class Flood {
   public:
    explicit Flood(Bench* bench) {
      for (int i = 0; i < kFloodClients; ++i) {
        clients_.emplace_back([this, bench, i](const std::stop_token& stop) {
          setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), 19);
          bench->AppendUntil(i, stop, &appends_);
        });
      }
    }
    uint64_t appends() const { return appends_; }

   private:
    std::atomic<uint64_t> appends_ = 0;
    std::vector<std::jthread> clients_;
  };

  void CreateTokens(const std::string& name) {
    v1::CreateSessionRequest create;
    create.set_session(name);
    create.mutable_profile()->set_key_dim(kDim);
    create.mutable_profile()->set_data_type(v1::DATA_TYPE_FLOAT32);
    create.mutable_profile()->mutable_window()->set_tokens(1 << 20);
    Get(client_.CreateSession(create));
  }

  v1::AppendRequest TokensFor(const std::string& session, int64_t count) {
    v1::AppendRequest append;
    append.set_session(session);
    for (v1::Tensor* tensor : {append.mutable_tokens()->mutable_keys(),
                               append.mutable_tokens()->mutable_values()}) {
      service::SetFloats(Normals(count * kDim, random_), {1, 1, count, kDim},
                         tensor);
    }
    return append;
  }

  void AppendUntil(int number, const std::stop_token& stop,
                   std::atomic<uint64_t>* appends) {
    client::Client client(client::Connect(server_->addresses().front()));
    v1::AppendRequest append;
    {
      base::MutexLock lock(&mutex_);
      const std::string name = "namespaces/flood/sessions/f" +
                               std::to_string(floods_++) + "-" +
                               std::to_string(number);
      CreateTokens(name);
      append = TokensFor(name, kAppendTokens);
    }
    while (!stop.stop_requested()) {
      Get(client.Append(append));
      ++*appends;
    }
  }

  // Seconds of each of a turn's reads.
  std::vector<double> Turn(const std::function<void()>& read) const {
    std::vector<double> seconds;
    for (int i = 0; i < sizes_.reads; ++i) {
      const auto begin = SteadyClock::now();
      read();
      seconds.push_back(
          std::chrono::duration<double>(SteadyClock::now() - begin).count());
    }
    return seconds;
  }

  // One turn's percentiles, in seconds, with the flood and without.
  struct Pair {
    double with;
    double without;
  };

  void Measure(const std::string& name, const std::function<void()>& read) {
    std::vector<Pair> halves;
    std::vector<Pair> tails;
    std::vector<double> rates;
    for (int turn = 0; turn < sizes_.turns; ++turn) {
      const std::vector<double> alone = Turn(read);
      Flood flood(this);
      while (flood.appends() < kFloodClients) std::this_thread::yield();
      const uint64_t before = flood.appends();
      const auto begin = SteadyClock::now();
      const std::vector<double> beside = Turn(read);
      rates.push_back(
          static_cast<double>(flood.appends() - before) /
          std::chrono::duration<double>(SteadyClock::now() - begin).count());
      halves.push_back({Percentile(beside, 0.5), Percentile(alone, 0.5)});
      tails.push_back({Percentile(beside, 0.99), Percentile(alone, 0.99)});
    }
    Print(name + "_p50", halves, rates);
    Print(name + "_p99", tails, rates);
  }

  void Print(const std::string& name, const std::vector<Pair>& turns,
             const std::vector<double>& rates) const {
    std::vector<double> values;
    std::vector<double> ratios;
    for (const Pair& turn : turns) {
      values.push_back(turn.with * 1e6);
      ratios.push_back(turn.without / turn.with);
    }
    const nlohmann::ordered_json line = {
        {"name", "flood_" + name + "_" + std::to_string(threads_) + "_threads"},
        {"value", Percentile(values, 0.5)},
        {"unit", "us"},
        {"ratio", Percentile(ratios, 0.5)},
        {"against", "no flood"},
        {"turns", sizes_.turns},
        {"reads_a_turn", sizes_.reads},
        {"appends_per_second", Percentile(rates, 0.5)}};
    std::puts(line.dump().c_str());
    std::fflush(stdout);
  }

  const int threads_;
  const Sizes sizes_;
  ScratchDir scratch_;
  base::RealClock clock_;
  base::Mutex mutex_;
  std::mt19937_64 random_;
  int floods_ = 0;
  std::unique_ptr<service::Server> server_;
  client::Client client_;
};

}  // namespace
}  // namespace mneme::bench

int main(int argc, char** argv) {
  mneme::base::SetLogLevel(mneme::base::LogLevel::kWarning);
  mneme::bench::Sizes sizes;
  if (argc == 2 && std::string_view(argv[1]) == "--smoke") {
    sizes = {.tokens = 256, .text_bytes = 20'000, .reads = 3, .turns = 1};
  }
  for (const int threads : {2, 4}) mneme::bench::Bench(threads, sizes).Run();
}
