#include "memory/background.h"

#include <utility>

namespace mneme::memory {

Background::Background(std::function<bool()> work,
                       std::chrono::milliseconds interval)
    : work_(std::move(work)),
      interval_(interval),
      thread_([this] { Loop(); }) {}

Background::~Background() {
  {
    base::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  thread_.join();
}

void Background::Wake() {
  {
    base::MutexLock lock(&mutex_);
    woken_ = true;
  }
  wake_.NotifyOne();
}

void Background::Loop() {
  bool more = false;
  for (;;) {
    {
      base::MutexLock lock(&mutex_);
      if (!more && !woken_ && !stopping_) wake_.WaitFor(&mutex_, interval_);
      if (stopping_) return;
      woken_ = false;
    }
    more = work_();
  }
}

}  // namespace mneme::memory
