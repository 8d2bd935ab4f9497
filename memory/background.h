// memory/background.h: one thread that does work nobody waits for.

#ifndef MNEME_MEMORY_BACKGROUND_H_
#define MNEME_MEMORY_BACKGROUND_H_

#include <chrono>
#include <functional>
#include <thread>

#include "base/mutex.h"

namespace mneme::memory {

// Threads: any.
class Background {
 public:
  // Calls `work` whenever it is woken, every `interval`, and again at once
  // while it says that there is more.
  Background(std::function<bool()> work, std::chrono::milliseconds interval);
  // Waits for the piece under way.
  ~Background();

  void Wake();

 private:
  void Loop();

  const std::function<bool()> work_;
  const std::chrono::milliseconds interval_;
  base::Mutex mutex_;
  base::CondVar wake_;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_BACKGROUND_H_
