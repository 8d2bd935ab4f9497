// mneme_mixed_crash --mneme PATH [--rounds 20] [--workers 4] [--seed N]: kills
// a server at random moments of a mixed load of several clients, and holds what
// it remembers after each against what they were told.

#include <atomic>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "tests/client/temporary_dir.h"
#include "tests/e2e/flags.h"
#include "tests/e2e/mixed_load.h"
#include "tests/e2e/server_process.h"

namespace mneme::e2e {
namespace {

using std::chrono::microseconds;
using std::chrono::steady_clock;

// Long enough for a run to be sealed, and for what was forgotten to be
// compacted.
constexpr uint64_t kLoadMicrosMax = 250'000;
constexpr uint64_t kOpeningMicrosMax = 60'000;

absl::Status Run(int argc, char** argv) {
  ASSIGN_OR_RETURN(const Flags flags, Flags::Parse(argc, argv,
                                                   {{"mneme", "mneme"},
                                                    {"rounds", "20"},
                                                    {"workers", "4"},
                                                    {"seed", "20240731"}}));
  ASSIGN_OR_RETURN(const uint64_t rounds, flags.Number("rounds"));
  ASSIGN_OR_RETURN(const uint64_t workers, flags.Number("workers"));
  ASSIGN_OR_RETURN(const uint64_t seed, flags.Number("seed"));
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  const testing::TemporaryDir scratch;
  ServerProcess server(flags.Text("mneme"), scratch.Path(""));
  MixedLoad load(static_cast<int>(workers), seed);
  uint64_t kills_at_opening = 0;
  const auto start = steady_clock::now();
  RETURN_IF_ERROR(server.Start());
  for (uint64_t round = 1; round <= rounds; ++round) {
    std::atomic<bool> stop = false;
    const microseconds delay(random() % kLoadMicrosMax);
    absl::Status sound = load.Run(server.address(), stop, [&] {
      std::this_thread::sleep_for(delay);
      server.Kill();
    });
    while (sound.ok() && random() % 4 == 0) {
      RETURN_IF_ERROR(server.Begin());
      std::this_thread::sleep_for(microseconds(random() % kOpeningMicrosMax));
      server.Kill();
      ++kills_at_opening;
    }
    sound.Update(server.Start());
    if (sound.ok()) sound = load.Check(server.address());
    if (!sound.ok()) {
      return absl::Status(sound.code(),
                          absl::StrCat("round ", round, ": ", sound.message()));
    }
    if (round % 50 == 0) {
      std::printf("%llu rounds\n", static_cast<unsigned long long>(round));
      std::fflush(stdout);
    }
  }
  const LoadCounts counts = load.counts();
  const nlohmann::ordered_json line = {
      {"name", "mixed_crash"},
      {"seed", seed},
      {"kills_at_work", rounds},
      {"kills_at_opening", kills_at_opening},
      {"clients", workers},
      {"synced_appends", counts.synced_appends},
      {"buffered_appends", counts.buffered_appends},
      {"tokens", counts.tokens},
      {"forgets", counts.forgets},
      {"forks", counts.forks},
      {"commits", counts.commits},
      {"sessions_created", counts.created},
      {"sessions_deleted", counts.deleted},
      {"reads_under_load", counts.reads},
      {"in_doubt_kept", counts.settled_kept},
      {"in_doubt_not_there", counts.settled_lost},
      // Or the program would have failed.
      {"acknowledged_lost", 0},
      {"duplicated", 0},
      {"wrong_answers", 0},
      {"seconds",
       std::chrono::duration<double>(steady_clock::now() - start).count()}};
  std::printf("%s\n", line.dump().c_str());
  return absl::OkStatus();
}

}  // namespace
}  // namespace mneme::e2e

int main(int argc, char** argv) {
  const absl::Status status = mneme::e2e::Run(argc, argv);
  if (status.ok()) return 0;
  std::fprintf(stderr, "mneme_mixed_crash: FAILED: %s\n",
               std::string(status.message()).c_str());
  return 1;
}
