#include "base/log.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace mneme::base {
namespace {

std::atomic<LogLevel> log_level{LogLevel::kInfo};

std::string_view NameOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    default:
      return "error";
  }
}

void AppendJsonString(std::string_view text, std::string& line) {
  line += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&line, "\\u%04x", c);
    } else {
      line += c;
    }
  }
  line += '"';
}

struct AppendValue {
  std::string& line;
  void operator()(const std::string& text) { AppendJsonString(text, line); }
  void operator()(int64_t number) { absl::StrAppend(&line, number); }
  void operator()(double number) {
    absl::StrAppendFormat(&line, "%.6g", number);
  }
  void operator()(bool truth) { line += truth ? "true" : "false"; }
};

std::string Timestamp() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(
                          now.time_since_epoch()) %
                      1000;
  std::tm utc;
  gmtime_r(&seconds, &utc);
  return absl::StrFormat("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                         utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                         utc.tm_hour, utc.tm_min, utc.tm_sec, millis.count());
}

}  // namespace

void SetLogLevel(LogLevel level) { log_level = level; }

void Log(LogLevel level, std::string_view event,
         std::initializer_list<LogField> fields) {
  if (level < log_level.load(std::memory_order_relaxed)) return;
  std::string line =
      absl::StrCat("{\"time\":\"", Timestamp(), "\",\"level\":\"",
                   std::string(NameOf(level)), "\",\"event\":");
  AppendJsonString(event, line);
  for (const auto& [name, value] : fields) {
    line += ',';
    AppendJsonString(name, line);
    line += ':';
    std::visit(AppendValue{line}, value);
  }
  line += "}\n";
  // One write keeps lines whole; a log that cannot be written is let go.
  [[maybe_unused]] const ssize_t written =
      ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace mneme::base
