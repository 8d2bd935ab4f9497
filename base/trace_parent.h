// base/trace_parent.h: whether a text names a caller's span, as W3C Trace
// Context (level 1) writes it in `traceparent`:
// 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01

#ifndef MNEME_BASE_TRACE_PARENT_H_
#define MNEME_BASE_TRACE_PARENT_H_

#include <string_view>

namespace mneme::base {

// False for whatever the specification does not allow. A later version than 00
// may say more behind what this one knows.
bool IsTraceParent(std::string_view header);

}  // namespace mneme::base

#endif  // MNEME_BASE_TRACE_PARENT_H_
