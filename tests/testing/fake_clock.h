// tests/testing/fake_clock.h: time that passes when a test says so.

#ifndef MNEME_TESTS_TESTING_FAKE_CLOCK_H_
#define MNEME_TESTS_TESTING_FAKE_CLOCK_H_

#include <atomic>
#include <chrono>

#include "base/clock.h"

namespace mneme::testing {

// Threads:  any.
class FakeClock final : public base::Clock {
 public:
  std::chrono::system_clock::time_point Now() const override {
    return std::chrono::system_clock::time_point(
        std::chrono::duration_cast<std::chrono::system_clock::duration>(
            passed_.load()));
  }
  std::chrono::steady_clock::time_point Ticks() const override {
    return std::chrono::steady_clock::time_point(passed_.load());
  }
  void Pass(std::chrono::steady_clock::duration time) {
    passed_.store(passed_.load() + time);
  }

 private:
  std::atomic<std::chrono::steady_clock::duration> passed_{
      std::chrono::hours(1)};
};

}  // namespace mneme::testing

#endif  // MNEME_TESTS_TESTING_FAKE_CLOCK_H_
