// service/token_bucket.h: so many a second, with a burst.

#ifndef MNEME_SERVICE_TOKEN_BUCKET_H_
#define MNEME_SERVICE_TOKEN_BUCKET_H_

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

namespace mneme::service {

// Holds up to `burst` tokens and gains `per_second`; what is done takes one.
// Threads:  the caller's lock.
class TokenBucket {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // Full at `now`. REQUIRES: per_second > 0, burst >= 1.
  TokenBucket(double per_second, double burst, TimePoint now)
      : per_second_(per_second), burst_(burst), tokens_(burst), at_(now) {}

  // Takes a token; without one, returns how long until there is one, and takes
  // nothing. REQUIRES: `now` does not go back.
  std::optional<std::chrono::milliseconds> Take(TimePoint now) {
    const double seconds = std::chrono::duration<double>(now - at_).count();
    tokens_ = std::min(burst_, tokens_ + seconds * per_second_);
    at_ = now;
    if (tokens_ >= 1) {
      tokens_ -= 1;
      return std::nullopt;
    }
    // Rounded up: who waits as told is not refused for a fraction.
    const double wait_ms = std::ceil((1 - tokens_) / per_second_ * 1000);
    return std::chrono::milliseconds(static_cast<int64_t>(wait_ms));
  }

 private:
  double per_second_;
  double burst_;
  double tokens_;
  TimePoint at_;
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_TOKEN_BUCKET_H_
