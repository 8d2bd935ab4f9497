#include "tests/bench/contest.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "absl/strings/str_format.h"

namespace mneme::bench {
namespace {

// Long against the clock's resolution and a switch of threads.
constexpr double kMeasurementSeconds = 0.02;
constexpr int kRounds = 11;  // Odd: the median is one of them.

double Median(std::vector<double> numbers) {
  std::sort(numbers.begin(), numbers.end());
  return numbers[numbers.size() / 2];
}

// Half of the numbers lie in a range of this width.
double InterquartileRange(std::vector<double> numbers) {
  std::sort(numbers.begin(), numbers.end());
  return numbers[numbers.size() * 3 / 4] - numbers[numbers.size() / 4];
}

}  // namespace

Arena::Arena(std::string_view program, int argc, const char* const* argv)
    : program_(program) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--smoke") {
      smoke_ = true;
    } else if (argument.substr(0, 1) != "-" && filter_.empty()) {
      filter_ = argument;
    } else {
      absl::FPrintF(stderr, "usage: %s_bench [--smoke] [NAME]\n", program_);
      std::exit(2);
    }
  }
}

bool Arena::Wants(std::string_view name) const {
  return name.find(filter_) != std::string_view::npos;
}

void Arena::Compare(const Contest& contest, const std::function<void()>& ours,
                    const std::function<void()>& baseline) const {
  if (!Wants(contest.name)) return;
  absl::FPrintF(stderr, "%s/%s against %s\n", program_, contest.name,
                contest.against);
  const int our_calls = CallsOf(ours);
  const int baseline_calls = CallsOf(baseline);
  std::vector<double> our_seconds;
  std::vector<double> baseline_seconds;
  std::vector<double> ratios;
  for (int round = 0; round < (smoke_ ? 1 : kRounds); ++round) {
    our_seconds.push_back(Time(ours, our_calls));
    baseline_seconds.push_back(Time(baseline, baseline_calls));
    ratios.push_back(baseline_seconds.back() / our_seconds.back());
  }
  const auto value = [&contest](double seconds) {
    return contest.kind == Contest::Kind::kRate ? contest.work / seconds
                                                : contest.work * seconds;
  };
  const double median = Median(our_seconds);
  absl::PrintF(
      R"({"name":"%s/%s","value":%.6g,"unit":"%s","ratio":%.4g,)"
      R"("against":"%s","against_value":%.6g,"spread":%.3g,"rounds":%d})"
      "\n",
      program_, contest.name, value(median), contest.unit, Median(ratios),
      contest.against, value(Median(baseline_seconds)),
      InterquartileRange(our_seconds) / median, our_seconds.size());
  std::fflush(stdout);
}

double Arena::Time(const std::function<void()>& work, int calls) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < calls; ++i) work();
  const std::chrono::duration<double> elapsed =
      std::chrono::steady_clock::now() - begin;
  return std::max(elapsed.count(), 1e-9) / calls;
}

int Arena::CallsOf(const std::function<void()>& work) const {
  if (smoke_) return 1;
  work();  // Caches, pages and branch predictors.
  int calls = 1;
  for (;;) {
    const double seconds = Time(work, calls) * calls;
    if (seconds >= kMeasurementSeconds) return calls;
    // At most tenfold, as the first calls are the slowest.
    const double wanted = 1.2 * calls * kMeasurementSeconds / seconds;
    calls = static_cast<int>(std::clamp(wanted, calls + 1.0, calls * 10.0));
  }
}

void ExpectNear(std::string_view what, const float* a, const float* b,
                size_t count, double tolerance) {
  for (size_t i = 0; i < count; ++i) {
    const double difference = std::abs(double{a[i]} - double{b[i]});
    if (difference <= tolerance) continue;
    Fail(absl::StrFormat("%s: element %d is %g, the baseline says %g", what, i,
                         a[i], b[i]));
  }
}

void Fail(std::string_view what) {
  absl::FPrintF(stderr, "%s\n", what);
  std::exit(1);
}

}  // namespace mneme::bench
