// base/log.h: one line per event on stderr, as JSON, so that people and
// machines read the same log.
// Payloads (texts, keys, values) never go into a log line.

#ifndef MNEME_BASE_LOG_H_
#define MNEME_BASE_LOG_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace mneme::base {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

using LogValue = std::variant<std::string, int64_t, double, bool>;
using LogField = std::pair<std::string_view, LogValue>;

// Lines below `level` are dropped. Default: kInfo.
// Threads: any.
void SetLogLevel(LogLevel level);

// Writes {"time":..,"level":..,"event":..,fields...} in one write.
// Threads: any; lines never interleave.
void Log(LogLevel level, std::string_view event,
         std::initializer_list<LogField> fields = {});

}  // namespace mneme::base

#endif  // MNEME_BASE_LOG_H_
