// How much a flood of appends slows down interactive reads: p99 of Recall and
// Attend beside it, against p99 without it, in one run and in turns, of which
// the median is printed: the machine has other things to do as well.
// The flood has its own namespace and sessions, and its clients are a process
// of their own at the lowest priority, since they stand for other machines.
// `ratio` is the time without the flood by the time beside it: 0.5 is twice as
// slow.

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
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

void CreateTokens(client::Client& client, const std::string& name) {
  v1::CreateSessionRequest create;
  create.set_session(name);
  create.mutable_profile()->set_key_dim(kDim);
  create.mutable_profile()->set_data_type(v1::DATA_TYPE_FLOAT32);
  create.mutable_profile()->mutable_window()->set_tokens(1 << 20);
  Get(client.CreateSession(create));
}

v1::AppendRequest TokensFor(const std::string& session, int64_t count,
                            std::mt19937_64& random) {
  v1::AppendRequest append;
  append.set_session(session);
  for (v1::Tensor* tensor : {append.mutable_tokens()->mutable_keys(),
                             append.mutable_tokens()->mutable_values()}) {
    service::SetFloats(Normals(count * kDim, random), {1, 1, count, kDim},
                       tensor);
  }
  return append;
}

// Appends to sessions of its own from several clients, in another process.
// REQUIRES: made before anything starts a thread.
class Flood {
 public:
  Flood() : shared_(NewShared()) {
    if (pipe(orders_.data()) != 0 || pipe(answers_.data()) != 0) std::abort();
    if (fork() != 0) return;
    close(orders_[1]);  // So that it ends with its parent.
    setpriority(PRIO_PROCESS, 0, 19);
    Obey();
    _exit(0);
  }

  // Until Stop, against the server at `address`.
  void Start(const std::string& address) { Order(address + "\n"); }
  void Stop() {
    Order("\n");
    char stopped;
    if (read(answers_[0], &stopped, 1) != 1) std::abort();
  }
  uint64_t appends() const { return *shared_; }

 private:
  using Shared = std::atomic<uint64_t>;

  static Shared* NewShared() {
    void* const page = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) std::abort();
    return new (page) Shared(0);
  }

  void Order(const std::string& line) {
    if (write(orders_[1], line.data(), line.size()) !=
        static_cast<ssize_t>(line.size())) {
      std::abort();
    }
  }

  void Obey() {
    std::vector<std::jthread> clients;
    std::string line;
    for (char c; read(orders_[0], &c, 1) == 1;) {
      if (c != '\n') {
        line += c;
      } else if (line.empty()) {
        clients.clear();
        if (write(answers_[1], "s", 1) != 1) return;
      } else {
        for (int i = 0; i < kFloodClients; ++i) {
          clients.emplace_back([this, address = line, number = floods_++](
                                   const std::stop_token& stop) {
            AppendUntil(stop, address, number);
          });
        }
        line.clear();
      }
    }
  }

  void AppendUntil(const std::stop_token& stop, const std::string& address,
                   int number) {
    std::mt19937_64 random(number);
    client::Client client(client::Connect(address));
    const std::string name =
        "namespaces/flood/sessions/f" + std::to_string(number);
    CreateTokens(client, name);
    const v1::AppendRequest append = TokensFor(name, kAppendTokens, random);
    while (!stop.stop_requested()) {
      Get(client.Append(append));
      ++*shared_;
    }
  }

  Shared* const shared_;  // Appends so far.
  std::array<int, 2> orders_{};
  std::array<int, 2> answers_{};
  int floods_ = 0;
};

class Bench {
 public:
  Bench(int threads, const Sizes& sizes, Flood* flood)
      : threads_(threads),
        sizes_(sizes),
        flood_(flood),
        random_(Seed()),
        server_(Get(service::Server::Start(
            Get(memory::OpenRocksStore(scratch_.Child("data"))),
            {.listen = {"127.0.0.1:0"}, .threads = threads}, &clock_))),
        client_(client::Connect(server_->addresses().front())) {
    CreateTokens(client_, kTokens);
    for (int64_t at = 0; at < sizes_.tokens; at += 4096) {
      Get(client_.Append(TokensFor(
          kTokens, std::min<int64_t>(4096, sizes_.tokens - at), random_)));
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
      const uint64_t start = flood_->appends();
      flood_->Start(server_->addresses().front());
      while (flood_->appends() < start + kFloodClients) {
        std::this_thread::yield();
      }
      const uint64_t before = flood_->appends();
      const auto begin = SteadyClock::now();
      const std::vector<double> beside = Turn(read);
      rates.push_back(
          static_cast<double>(flood_->appends() - before) /
          std::chrono::duration<double>(SteadyClock::now() - begin).count());
      flood_->Stop();
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
  Flood* const flood_;
  ScratchDir scratch_;
  base::RealClock clock_;
  std::mt19937_64 random_;
  std::unique_ptr<service::Server> server_;
  client::Client client_;
};

}  // namespace
}  // namespace mneme::bench

int main(int argc, char** argv) {
  mneme::bench::Flood flood;
  mneme::base::SetLogLevel(mneme::base::LogLevel::kWarning);
  mneme::bench::Sizes sizes;
  if (argc == 2 && std::string_view(argv[1]) == "--smoke") {
    sizes = {.tokens = 256, .text_bytes = 20'000, .reads = 3, .turns = 1};
  }
  for (const int threads : {2, 4})
    mneme::bench::Bench(threads, sizes, &flood).Run();
}
