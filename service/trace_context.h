// service/trace_context.h: whose request this is part of, as W3C Trace Context
// (level 1) writes it in the metadata `traceparent` and `tracestate`.

#ifndef MNEME_SERVICE_TRACE_CONTEXT_H_
#define MNEME_SERVICE_TRACE_CONTEXT_H_

#include <optional>
#include <string>
#include <string_view>

namespace mneme::service {

// A span: a piece of work that is part of a trace.
struct TraceSpan {
  std::string trace_id = {};  // 32 lower-case hexadecimal digits, not all 0.
  std::string span_id = {};   // 16, likewise.
  bool sampled = false;

  friend bool operator==(const TraceSpan&, const TraceSpan&) = default;
};

// The caller's span; nothing for whatever the specification does not allow. Of
// a later version the part that this one knows is read.
std::optional<TraceSpan> ParseTraceParent(std::string_view header);

// As version 00.
std::string FormatTraceParent(const TraceSpan& span);

// Whether `header` may be handed on: a list of at most 32 key=value pairs with
// different keys, as the specification spells them, of at most 8 KiB.
bool IsTraceState(std::string_view header);

// A new span of ours in the trace of `parent`. Threads:  any.
TraceSpan ChildOf(const TraceSpan& parent);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_TRACE_CONTEXT_H_
