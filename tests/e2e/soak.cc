// mneme_soak --mneme PATH [--seconds 600] [--workers 4] [--seed N]: a mixed
// load that never stops and does not grow, and what the server holds meanwhile.
// Fails when memory or open files go on growing, or an answer is wrong.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "tests/client/temporary_dir.h"
#include "tests/e2e/flags.h"
#include "tests/e2e/mixed_load.h"
#include "tests/e2e/server_process.h"

namespace mneme::e2e {
namespace {

using std::chrono::steady_clock;

constexpr double kSampleSeconds = 1;
// Caches, write buffers and heaps fill up in the first third.
constexpr double kWarmUp = 1.0 / 3;
// A leak of one page a call would be some hundred MiB an hour.
constexpr double kBytesPerHourMax = 100 << 20;
constexpr double kFilesGrowthMax = 16;
// Shorter runs have no slope to speak of.
constexpr uint64_t kJudgedSeconds = 300;

struct Sample {
  double seconds;
  double resident_bytes;
  double open_files;
};

// Least squares, per second.
double SlopeOf(const std::vector<Sample>& samples, double Sample::*what) {
  double t = 0;
  double y = 0;
  for (const Sample& sample : samples) {
    t += sample.seconds / static_cast<double>(samples.size());
    y += sample.*what / static_cast<double>(samples.size());
  }
  double above = 0;
  double below = 0;
  for (const Sample& sample : samples) {
    above += (sample.seconds - t) * (sample.*what - y);
    below += (sample.seconds - t) * (sample.seconds - t);
  }
  return below == 0 ? 0 : above / below;
}

std::vector<Sample> Watch(const ServerProcess& server, double seconds) {
  std::vector<Sample> samples;
  const auto start = steady_clock::now();
  double next_line = 0;
  for (double now = 0; now < seconds;) {
    samples.push_back({now, static_cast<double>(server.ResidentBytes()),
                       static_cast<double>(server.OpenFiles())});
    if (now >= next_line) {
      std::printf("%5.0f s  %6.1f MiB  %3.0f open files\n", now,
                  samples.back().resident_bytes / (1 << 20),
                  samples.back().open_files);
      std::fflush(stdout);
      next_line += 60;
    }
    std::this_thread::sleep_for(std::chrono::duration<double>(kSampleSeconds));
    now = std::chrono::duration<double>(steady_clock::now() - start).count();
  }
  return samples;
}

absl::Status Judge(const std::vector<Sample>& all, uint64_t seconds,
                   const LoadCounts& counts) {
  std::vector<Sample> warm(
      all.begin() +
          static_cast<long>(kWarmUp * static_cast<double>(all.size())),
      all.end());
  const double bytes_per_hour = 3600 * SlopeOf(warm, &Sample::resident_bytes);
  const double files_growth = SlopeOf(warm, &Sample::open_files) *
                              (warm.back().seconds - warm[0].seconds);
  const nlohmann::ordered_json line = {
      {"name", "soak"},
      {"seconds", seconds},
      {"appends", counts.synced_appends + counts.buffered_appends},
      {"forgets", counts.forgets},
      {"forks", counts.forks},
      {"reads", counts.reads},
      {"sessions_created", counts.created},
      {"sessions_deleted", counts.deleted},
      {"resident_mib_warm", warm[0].resident_bytes / (1 << 20)},
      {"resident_mib_last", warm.back().resident_bytes / (1 << 20)},
      {"resident_mib_per_hour", bytes_per_hour / (1 << 20)},
      {"open_files_warm", warm[0].open_files},
      {"open_files_last", warm.back().open_files}};
  std::printf("%s\n", line.dump().c_str());
  if (seconds < kJudgedSeconds) return absl::OkStatus();
  if (bytes_per_hour > kBytesPerHourMax) {
    return absl::ResourceExhaustedError("memory goes on growing");
  }
  if (files_growth > kFilesGrowthMax) {
    return absl::ResourceExhaustedError("open files go on growing");
  }
  return absl::OkStatus();
}

absl::Status Run(int argc, char** argv) {
  ASSIGN_OR_RETURN(const Flags flags, Flags::Parse(argc, argv,
                                                   {{"mneme", "mneme"},
                                                    {"seconds", "600"},
                                                    {"workers", "4"},
                                                    {"seed", "20240731"}}));
  ASSIGN_OR_RETURN(const uint64_t seconds, flags.Number("seconds"));
  ASSIGN_OR_RETURN(const uint64_t workers, flags.Number("workers"));
  ASSIGN_OR_RETURN(const uint64_t seed, flags.Number("seed"));
  const testing::TemporaryDir scratch;
  ServerProcess server(flags.Text("mneme"), scratch.Path(""));
  RETURN_IF_ERROR(server.Start());
  MixedLoad load(static_cast<int>(workers), seed);
  std::atomic<bool> stop = false;
  std::vector<Sample> samples;
  RETURN_IF_ERROR(load.Run(server.address(), stop, [&] {
    samples = Watch(server, static_cast<double>(seconds));
    stop = true;
  }));
  RETURN_IF_ERROR(load.Check(server.address()));
  return Judge(samples, seconds, load.counts());
}

}  // namespace
}  // namespace mneme::e2e

int main(int argc, char** argv) {
  const absl::Status status = mneme::e2e::Run(argc, argv);
  if (status.ok()) return 0;
  std::fprintf(stderr, "mneme_soak: FAILED: %s\n",
               std::string(status.message()).c_str());
  return 1;
}
