// What a hundred forks cost: disk and memory with all of them open and read,
// against the one session that they were made from.

#include <fstream>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "attention/dtype.h"
#include "base/clock.h"
#include "memory/memory.h"
#include "memory/rocks_store.h"
#include "tests/bench/contest.h"
#include "tests/bench/data.h"
#include "tests/bench/scratch_dir.h"

namespace mneme::bench {
namespace {

constexpr int kForks = 100;
constexpr size_t kPieceTokens = 1024;

memory::SessionName Name(const std::string& session) {
  return {.space = "bench", .session = session};
}

// 4 KiB a token, every tier.
memory::Profile TheProfile() {
  memory::Profile profile;
  profile.layers = 2;
  profile.query_heads = 4;
  profile.kv_heads = 4;
  profile.key_dim = 128;
  profile.value_dim = 128;
  profile.dtype = attention::DType::kF16;
  profile.window = memory::WindowTier{.tokens = 1024};
  profile.knn = memory::KnnTier{
      .top_k = 32, .positions = {.policy = memory::PositionPolicy::kNone}};
  profile.compressive =
      memory::CompressiveTier{.segment_tokens = 128, .gate_logits = {-1.0F}};
  return profile;
}

double ResidentMib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::stod(line.substr(6)) / 1024;
  }
  Fail("no VmRSS in /proc/self/status");
}

class Bench {
 public:
  Bench(int argc, const char* const* argv)
      : arena_("forks", argc, argv), random_(Seed()) {
    memory_ = Get(memory::Memory::Open(
        Get(memory::OpenRocksStore(directory_.Child("mneme"))), &clock_));
  }

  void Run() {
    const size_t tokens = arena_.smoke() ? 8 << 10 : 100'000;
    const auto parent = Get(memory_->Create(Name("parent"), TheProfile()));
    Fill(*parent, tokens);
    while (Get(parent->SealOne())) {
    }
    Read(*parent);
    const double disk = DiskMib();
    const double resident = ResidentMib();
    std::vector<std::shared_ptr<memory::Session>> forks;
    for (int i = 0; i < kForks; ++i) {
      const std::string name = absl::StrCat("fork", i);
      const absl::Status forked =
          memory_->Fork(Name("parent"), Name(name), {}, {});
      if (!forked.ok()) Fail(forked.ToString());
      forks.push_back(Get(memory_->Find(Name(name))));
      Read(*forks.back());
    }
    Print("disk_100_forks", disk, DiskMib(), tokens);
    Print("memory_100_forks", resident, ResidentMib(), tokens);
  }

 private:
  void Fill(memory::Session& session, size_t tokens) {
    const memory::Profile& profile = session.header().profile;
    for (size_t done = 0; done < tokens; done += kPieceTokens) {
      const size_t count = std::min(kPieceTokens, tokens - done);
      const size_t numbers = profile.bank_count() * count * profile.key_dim;
      const std::string keys = Narrow(profile.dtype, Normals(numbers, random_));
      const std::string values =
          Narrow(profile.dtype, Normals(numbers, random_));
      Get(session.AppendTokens(
          {.count = count, .keys = keys, .values = values, .positions = {}},
          {.request_id = "", .expected_seq = {}, .sync = false}));
    }
  }

  void Read(const memory::Session& session) {
    memory::LayerRead read{.layer = 1, .rows = 1};
    read.queries = Normals(4 * 128, random_);
    memory::AttendQuery query;
    query.reads = {read};
    Get(session.Attend(query, [] { return false; }));
  }

  double DiskMib() const {
    return static_cast<double>(memory_->Count().disk_bytes) / (1 << 20);
  }

  static void Print(const std::string& name, double before, double after,
                    size_t tokens) {
    std::cout << absl::StrFormat(
                     R"({"name":"forks.%s","value":%.1f,"unit":"MiB",)"
                     R"("ratio":%.4f,"against":"one session of %d tokens"})",
                     name, after, after / before, tokens)
              << std::endl;
  }

  const Arena arena_;
  std::mt19937_64 random_;
  const ScratchDir directory_;
  base::RealClock clock_;
  std::unique_ptr<memory::Memory> memory_;
};

}  // namespace
}  // namespace mneme::bench

int main(int argc, char** argv) { mneme::bench::Bench(argc, argv).Run(); }
