// tests/e2e/mixed_load.h: a client that does a bit of everything to sessions of
// its own, and remembers in plain vectors what they must answer.

#ifndef MNEME_TESTS_E2E_MIXED_LOAD_H_
#define MNEME_TESTS_E2E_MIXED_LOAD_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/client.h"

namespace mneme::e2e {

// What one session was told. A copy is a fork of it.
struct ToldSession {
  struct Entry {
    std::string text = {};
    std::string source = {};
  };
  struct Row {
    std::vector<float> key = {};
    std::vector<float> value = {};
  };
  bool is_text = false;
  std::string name = {};
  uint64_t seq_next = 0;
  uint64_t entry_next = 1;
  std::map<uint64_t, Entry> entries = {};   // Live ones, by number.
  std::map<uint64_t, Row> rows = {};        // Of tokens, live ones, by seq.
  std::vector<std::string> forgotten = {};  // The first words of some entries.
};

struct LoadCounts {
  uint64_t synced_appends = 0;
  uint64_t buffered_appends = 0;
  uint64_t tokens = 0;
  uint64_t forgets = 0;
  uint64_t commits = 0;
  uint64_t forks = 0;
  uint64_t created = 0;
  uint64_t deleted = 0;
  uint64_t reads = 0;
  uint64_t settled_kept = 0;  // In doubt at a crash, and there afterwards.
  uint64_t settled_lost = 0;  // In doubt at a crash, and not there.

  LoadCounts& operator+=(const LoadCounts& other);
};

// Threads: one; several workers may run at once, each with its own name.
class LoadWorker {
 public:
  // `number` also says whether its sessions are of text or of tokens.
  LoadWorker(int number, uint64_t seed);

  // Operations until `stop`, or until one fails: its error. UNAVAILABLE: the
  // server is away, and what was under way is in doubt.
  // Errors: DATA_LOSS for a wrong answer.
  absl::Status Run(client::Client& client, const std::atomic<bool>& stop);

  // After a restart: what was in doubt is there once or not at all; it is asked
  // for again, and must then be there once. Everything acknowledged is there,
  // everything answers as the model says, and verifies clean.
  // Errors: DATA_LOSS that says what is wrong; the server's.
  absl::Status Check(client::Client& client);

  const LoadCounts& counts() const { return counts_; }

 private:
  // An operation that may or may not have happened.
  struct Pending {
    size_t session;
    uint64_t entries = 0;  // That it would append.
    uint64_t tokens = 0;   // Likewise; of text, one at least.
    // Asks (again); tells the model when it has happened.
    std::function<absl::Status(client::Client&)> ask;
  };

  int64_t Int(int64_t low, int64_t high);
  absl::Status Step(client::Client& client);
  absl::Status Do(client::Client& client, Pending pending);
  Pending Create();
  Pending Append(size_t session);
  Pending Forget(size_t session);
  Pending ForgetRows(size_t session);
  Pending Fork(size_t session);
  Pending Commit(size_t session);
  Pending Delete(size_t session);
  v1::AppendRequest TextAppend(const ToldSession& told);
  v1::AppendRequest TokensAppend(const ToldSession& told);

  absl::Status Settle(client::Client& client);
  absl::Status CheckSession(client::Client& client, const ToldSession& told);
  absl::Status CheckEntries(client::Client& client, const ToldSession& told);
  absl::Status CheckRows(client::Client& client, const ToldSession& told);
  absl::Status CheckRecall(client::Client& client, const ToldSession& told);
  absl::Status CheckAttend(client::Client& client, const ToldSession& told);

  const int number_;
  std::mt19937_64 random_;
  std::vector<ToldSession> sessions_;
  std::optional<Pending> pending_;
  bool after_crash_ = false;  // The pending operation may have happened.
  uint64_t sessions_made_ = 0;
  uint64_t requests_made_ = 0;
  LoadCounts counts_;
};

// Workers on threads of their own, each with its own connection.
class MixedLoad {
 public:
  MixedLoad(int workers, uint64_t seed);

  // Runs until `stop` is set or every worker has failed; `while_running` is
  // called in the meantime, on this thread.
  // Errors: the first that does not only say that the server is away.
  absl::Status Run(const std::string& address, std::atomic<bool>& stop,
                   const std::function<void()>& while_running);
  absl::Status Check(const std::string& address);
  LoadCounts counts() const;

 private:
  std::vector<std::unique_ptr<LoadWorker>> workers_;
};

}  // namespace mneme::e2e

#endif  // MNEME_TESTS_E2E_MIXED_LOAD_H_
