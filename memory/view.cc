#include "memory/view.h"

#include <chrono>

#include "base/error.h"

namespace mneme::memory {

absl::Status StateRebuilding() {
  return base::Error(
      absl::StatusCode::kUnavailable,
      "compressive memory is being made anew without what was forgotten; try "
      "again, or read the other tiers",
      {.reason = "STATE_REBUILDING",
       .retry_after = std::chrono::milliseconds(100)});
}

}  // namespace mneme::memory
