// tests/bench/contest.h: ours against a baseline, measured side by side.
// Both run in one process and in turns, so that a slower minute of the machine
// slows both; what is printed are medians.

#ifndef MNEME_TESTS_BENCH_CONTEST_H_
#define MNEME_TESTS_BENCH_CONTEST_H_

#include <functional>
#include <string>
#include <string_view>

namespace mneme::bench {

struct Contest {
  std::string name;       // "attend_16k"; a letter, digit, _ or . each.
  std::string_view unit;  // Of `value`, e.g. "GB/s" or "us".
  // How much one call does, in units: `value` is work / seconds for a rate and
  // seconds * work (so: units a second) for a latency.
  double work = 1;
  enum class Kind { kRate, kLatency } kind = Kind::kRate;
  std::string_view against;  // What the baseline is.
};

// Runs the contests of one program.
class Arena {
 public:
  // Flags: --smoke, for one short run of everything; a word, for the contests
  // whose names contain it. Others end the process with 2.
  Arena(std::string_view program, int argc, const char* const* argv);

  // Small sizes are wanted: it is only shown that everything runs.
  bool smoke() const { return smoke_; }
  // Whether the contest was asked for.
  bool Wants(std::string_view name) const;

  // Prints {"name","value","unit","ratio","against",...}. `ratio` is the median
  // over the rounds of the baseline's time by ours: above 1, ours is faster.
  void Compare(const Contest& contest, const std::function<void()>& ours,
               const std::function<void()>& baseline) const;

 private:
  // Seconds a call, over `calls` calls.
  static double Time(const std::function<void()>& work, int calls);
  // As many calls as one measurement needs.
  int CallsOf(const std::function<void()>& work) const;

  std::string program_;
  std::string filter_;
  bool smoke_ = false;
};

// A benchmark of a wrong answer says nothing: ends the process with 1 unless
// |a[i] - b[i]| <= tolerance for every i.
void ExpectNear(std::string_view what, const float* a, const float* b,
                size_t count, double tolerance);

// Ends the process with 1 and says what failed.
[[noreturn]] void Fail(std::string_view what);

}  // namespace mneme::bench

#endif  // MNEME_TESTS_BENCH_CONTEST_H_
