// client/progress.h: how far a long command is, for the person who waits.

#ifndef MNEME_CLIENT_PROGRESS_H_
#define MNEME_CLIENT_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>

#include "base/clock.h"

namespace mneme::client {

// On a terminal one line that is rewritten: percent, bytes a second, time left.
// Anywhere else nothing until Finish, so that logs stay readable.
// Threads: one.
class Progress {
 public:
  // Lifetime: `err` and `clock` outlive it.
  Progress(std::string label, uint64_t bytes_total, bool terminal,
           std::ostream& err, const base::Clock& clock);
  ~Progress();  // Clears.

  void Update(uint64_t bytes_done);
  // Replaces the bar with a line that stays: bytes, seconds, bytes a second.
  void Finish();
  // Takes the bar away, e.g. before something else is printed.
  void Clear();

 private:
  const std::string label_;
  const uint64_t bytes_total_;
  const bool terminal_;
  std::ostream& err_;
  const base::Clock& clock_;
  const std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point drawn_;
  uint64_t bytes_done_ = 0;
  bool visible_ = false;
};

}  // namespace mneme::client

#endif  // MNEME_CLIENT_PROGRESS_H_
