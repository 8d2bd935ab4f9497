#include "client/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>

namespace mneme::client {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void Note(int) { interrupted = true; }

std::string last_words;

// The signal itself follows: it is blocked until this returns.
void SayLastWords(int) {
  const int error = errno;
  [[maybe_unused]] const ssize_t wrote =
      ::write(STDERR_FILENO, last_words.data(), last_words.size());
  ::raise(SIGINT);
  errno = error;
}

// The first signal alone reaches `handler`.
void HandleOnce(void (*handler)(int), struct sigaction* before) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESETHAND | SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, before);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  interrupted = false;
  HandleOnce(Note, &before_);
}

InterruptGuard::~InterruptGuard() { ::sigaction(SIGINT, &before_, nullptr); }

bool InterruptGuard::requested() const { return interrupted; }

LastWords::LastWords(const std::string& words) {
  last_words = "\nmneme: interrupted: " + words + "\n";
  HandleOnce(SayLastWords, &before_);
}

LastWords::~LastWords() { ::sigaction(SIGINT, &before_, nullptr); }

}  // namespace mneme::client
