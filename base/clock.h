// base/clock.h: time as an argument, so that a test can make it stand still.

#ifndef MNEME_BASE_CLOCK_H_
#define MNEME_BASE_CLOCK_H_

#include <chrono>
#include <cstdint>

namespace mneme::base {

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall time, for what is stored and shown.
  virtual std::chrono::system_clock::time_point Now() const = 0;
  // Never goes back, for what is measured.
  virtual std::chrono::steady_clock::time_point Ticks() const = 0;
};

class RealClock final : public Clock {
 public:
  std::chrono::system_clock::time_point Now() const override {
    return std::chrono::system_clock::now();
  }
  std::chrono::steady_clock::time_point Ticks() const override {
    return std::chrono::steady_clock::now();
  }
};

// Since 1970, as times are stored.
inline int64_t MicrosOf(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             time.time_since_epoch())
      .count();
}

inline int64_t MicrosNow(const Clock& clock) { return MicrosOf(clock.Now()); }

}  // namespace mneme::base

#endif  // MNEME_BASE_CLOCK_H_
