#include "service/stop_signal.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "base/check.h"

namespace mneme::service {
namespace {

constexpr int kExitInterrupted = 130;

// A handler, unlike a blocked mask, also serves threads that libraries started
// before main. It may only touch what is lock-free and call what is
// async-signal-safe, hence a pipe.
std::atomic<int> signals_seen{0};
std::atomic<int> pipe_read{-1};
std::atomic<int> pipe_write{-1};

extern "C" void OnStopSignal(int signal) {
  if (signals_seen.fetch_add(1) > 0) _exit(kExitInterrupted);
  const int saved = errno;
  const auto byte = static_cast<unsigned char>(signal);
  [[maybe_unused]] const ssize_t written = write(pipe_write, &byte, 1);
  errno = saved;
}

}  // namespace

void CatchStopSignals() {
  int ends[2];
  CHECK(pipe(ends) == 0);
  pipe_read = ends[0];
  pipe_write = ends[1];
  struct sigaction action = {};
  action.sa_handler = OnStopSignal;
  action.sa_flags = SA_RESTART;
  CHECK(sigaction(SIGTERM, &action, nullptr) == 0);
  CHECK(sigaction(SIGINT, &action, nullptr) == 0);
  // The terminal it was started from is gone: what runs is finished all the
  // same.
  CHECK(sigaction(SIGHUP, &action, nullptr) == 0);
  action.sa_handler = SIG_IGN;
  CHECK(sigaction(SIGPIPE, &action, nullptr) == 0);
}

int WaitForStopSignal() {
  unsigned char byte = 0;
  while (read(pipe_read, &byte, 1) != 1) CHECK(errno == EINTR);
  return byte;
}

}  // namespace mneme::service
