// client/interrupt.h: Ctrl-C as a question that a long command asks itself.

#ifndef MNEME_CLIENT_INTERRUPT_H_
#define MNEME_CLIENT_INTERRUPT_H_

#include <signal.h>

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

}  // namespace mneme::client

#endif  // MNEME_CLIENT_INTERRUPT_H_
