// base/status_macros.h: early return of an absl::Status.
// The packaged Abseil (20220623) has none; delete this file when it does.

#ifndef MNEME_BASE_STATUS_MACROS_H_
#define MNEME_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define MNEME_CONCAT_INNER(a, b) a##b
#define MNEME_CONCAT(a, b) MNEME_CONCAT_INNER(a, b)

// Returns the status of `expr` from the enclosing function unless it is OK.
#define RETURN_IF_ERROR(expr)                                   \
  do {                                                          \
    if (absl::Status mneme_status = (expr); !mneme_status.ok()) \
      return mneme_status;                                      \
  } while (false)

// Assigns the value of the StatusOr `expr` to `lhs`, or returns its status.
#define ASSIGN_OR_RETURN(lhs, expr) \
  ASSIGN_OR_RETURN_IMPL(MNEME_CONCAT(mneme_statusor_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_IMPL(statusor, lhs, expr)         \
  auto statusor = (expr);                                  \
  if (!statusor.ok()) return std::move(statusor).status(); \
  lhs = std::move(statusor).value()

#endif  // MNEME_BASE_STATUS_MACROS_H_
