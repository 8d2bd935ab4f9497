// base/check.h: CHECK ends the process, for our own mistakes only.
// What a caller or a disk can cause is an absl::Status, never a CHECK.

#ifndef MNEME_BASE_CHECK_H_
#define MNEME_BASE_CHECK_H_

namespace mneme::base {

// Prints `file:line: check failed: expression` on stderr and aborts.
[[noreturn]] void CheckFailed(const char* file, int line,
                              const char* expression);

}  // namespace mneme::base

#define CHECK(condition)                                          \
  do {                                                            \
    if (!(condition)) [[unlikely]]                                \
      ::mneme::base::CheckFailed(__FILE__, __LINE__, #condition); \
  } while (false)

#ifdef NDEBUG
#define DCHECK(condition)        \
  do {                           \
    if (false) CHECK(condition); \
  } while (false)
#else
#define DCHECK(condition) CHECK(condition)
#endif

#endif  // MNEME_BASE_CHECK_H_
