// client/interrupt.h: Ctrl-C as a question that a long command asks itself.

#ifndef MNEME_CLIENT_INTERRUPT_H_
#define MNEME_CLIENT_INTERRUPT_H_

#include <signal.h>

#include <string>

namespace mneme::client {

// While it lives, the first SIGINT is only noted; a second one ends the process
// as usual.
// Threads: one guard at a time in a process.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  bool requested() const;

 private:
  struct sigaction before_;
};

// While it lives, SIGINT prints `words` on standard error and ends the process
// as usual: for a command that waits for one long answer.
// Threads: one at a time in a process, and no InterruptGuard.
class LastWords {
 public:
  explicit LastWords(const std::string& words);
  ~LastWords();
  LastWords(const LastWords&) = delete;
  LastWords& operator=(const LastWords&) = delete;

 private:
  struct sigaction before_;
};

}  // namespace mneme::client

#endif  // MNEME_CLIENT_INTERRUPT_H_
