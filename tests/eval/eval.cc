// mneme_eval --server ADDR SET_DIR --out RUN [--limit 200]: appends a set's
// corpus to a running server, asks its queries, writes the run file.

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "client/client.h"
#include "client/document.h"
#include "client/progress.h"
#include "tests/eval/characters.h"
#include "tests/eval/run.h"
#include "tests/eval/set.h"

namespace mneme::eval {
namespace {

using std::chrono::steady_clock;

struct Flags {
  std::string server;
  std::string set;
  std::string out;
  uint32_t limit = 200;
};

double SecondsSince(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

absl::Status CreateIfMissing(client::Client& client, const std::string& name) {
  v1::CreateSessionRequest request;
  request.set_session(name);
  request.set_profile_name("text");
  const absl::Status status = client.CreateSession(request).status();
  return absl::IsAlreadyExists(status) ? absl::OkStatus() : status;
}

// Appends one session after the other, records in order. What a session has
// from an earlier run is not appended again, and counted as such.
absl::Status AppendAll(client::Client& client, const EvalSet& set) {
  uint64_t bytes_total = 0;
  std::vector<std::string> sessions;  // In the order of their first record.
  std::set<std::string> seen;
  for (const Record& record : set.corpus) {
    bytes_total += record.text.size();
    if (seen.insert(record.session).second) sessions.push_back(record.session);
  }
  const base::RealClock clock;
  client::Progress progress("appending " + set.name, bytes_total,
                            isatty(STDERR_FILENO) != 0, std::cerr, clock);
  const auto start = steady_clock::now();
  uint64_t bytes_done = 0, parts = 0, replayed = 0;
  for (const std::string& session : sessions) {
    const std::string name = ServerSession(set.name, session);
    RETURN_IF_ERROR(CreateIfMissing(client, name));
    for (const Record& record : set.corpus) {
      if (record.session != session) continue;
      client::Document document;
      document.session = name;
      document.source = record.id;
      document.role = record.speaker;
      document.time = record.time;
      document.metadata = record.meta;
      const auto result = client::AppendDocument(
          client, document, record.text,
          [&](const client::DocumentProgress& part) {
            progress.Update(bytes_done + part.bytes_done);
            return true;
          });
      if (!result.ok()) {
        return absl::Status(result.status().code(),
                            absl::StrCat("record ", record.id, ": ",
                                         result.status().message()));
      }
      bytes_done += record.text.size();
      parts += result->entries;
      replayed += result->replayed;
    }
  }
  progress.Finish();
  const double seconds = SecondsSince(start);
  std::printf(
      "append: %zu records, %zu sessions, %.2f MB in %.2f s, %.2f MB/s\n",
      set.corpus.size(), sessions.size(), bytes_total / 1e6, seconds,
      bytes_total / 1e6 / seconds);
  if (replayed > 0) {
    std::printf("append: %llu of %llu parts were there from an earlier run\n",
                static_cast<unsigned long long>(replayed),
                static_cast<unsigned long long>(parts));
  }
  return absl::OkStatus();
}

absl::Status AskAll(client::Client& client, const EvalSet& set,
                    const Flags& flags) {
  std::map<std::string, Characters> places;
  for (const Record& record : set.corpus) {
    places.emplace(record.id, record.text);
  }
  // Beside RUN first: a run file is complete or absent.
  const std::string unfinished = flags.out + ".unfinished";
  std::ofstream out(unfinished, std::ios::trunc);
  std::vector<double> milliseconds;
  for (const Query& query : set.queries) {
    v1::RecallRequest request;
    request.set_session(ServerSession(set.name, query.session));
    request.set_query(query.text);
    request.set_limit(flags.limit);
    const auto start = steady_clock::now();
    const auto response = client.Recall(request);
    milliseconds.push_back(SecondsSince(start) * 1e3);
    if (!response.ok()) {
      return absl::Status(
          response.status().code(),
          absl::StrCat("query ", query.id, ": ", response.status().message()));
    }
    ASSIGN_OR_RETURN(const std::string line,
                     RunLine(query, *response, set.spans, places));
    out << line << '\n';
  }
  out.close();
  if (!out || std::rename(unfinished.c_str(), flags.out.c_str()) != 0) {
    return absl::UnavailableError("cannot write " + flags.out);
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  const auto percentile = [&](size_t p) {
    return milliseconds.empty()
               ? 0.0
               : milliseconds[(milliseconds.size() - 1) * p / 100];
  };
  std::printf("recall: %zu queries, limit %u, p50 %.2f ms, p99 %.2f ms\n",
              set.queries.size(), flags.limit, percentile(50), percentile(99));
  std::printf("run: %s\n", flags.out.c_str());
  return absl::OkStatus();
}

absl::Status Evaluate(const Flags& flags) {
  ASSIGN_OR_RETURN(const EvalSet set, LoadSet(flags.set));
  client::Client client(client::Connect(flags.server));
  RETURN_IF_ERROR(AppendAll(client, set));
  return AskAll(client, set, flags);
}

bool Parse(int argc, char** argv, Flags& flags) {
  for (int i = 1; i < argc; ++i) {
    const bool has_value = i + 1 < argc;
    if (std::strcmp(argv[i], "--server") == 0 && has_value) {
      flags.server = argv[++i];
    } else if (std::strcmp(argv[i], "--out") == 0 && has_value) {
      flags.out = argv[++i];
    } else if (std::strcmp(argv[i], "--limit") == 0 && has_value) {
      const std::string value = argv[++i];
      const char* end = value.data() + value.size();
      const auto parsed = std::from_chars(value.data(), end, flags.limit);
      if (parsed.ec != std::errc() || parsed.ptr != end) return false;
    } else if (argv[i][0] != '-' && flags.set.empty()) {
      flags.set = argv[i];
    } else {
      return false;
    }
  }
  return !flags.server.empty() && !flags.set.empty() && !flags.out.empty();
}

}  // namespace
}  // namespace mneme::eval

int main(int argc, char** argv) {
  mneme::eval::Flags flags;
  if (!mneme::eval::Parse(argc, argv, flags)) {
    std::fprintf(stderr,
                 "usage: mneme_eval --server ADDR SET_DIR --out RUN "
                 "[--limit 200]\n");
    return 2;
  }
  const absl::Status status = mneme::eval::Evaluate(flags);
  if (status.ok()) return 0;
  std::fprintf(
      stderr, "mneme_eval: %s\n",
      status.ToString(absl::StatusToStringMode::kWithNoExtraData).c_str());
  return 1;
}
