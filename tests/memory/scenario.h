// tests/memory/scenario.h: every kind of mutation once at least, and what a
// directory should show after each, by a model that is nothing but vectors.

#ifndef MNEME_TESTS_MEMORY_SCENARIO_H_
#define MNEME_TESTS_MEMORY_SCENARIO_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "memory/memory.h"
#include "memory/seq_set.h"
#include "memory/store.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {

// One call of a caller.
struct Step {
  enum class Kind {
    kCreate,
    kDelete,
    kAppendText,
    kAppendTokens,
    kForget,
    kFork,
    kCommitWindow,
    kSeal,
  } kind;
  std::string session;
  std::string words = {};               // kAppendText.
  std::string source = {};              // kAppendText.
  uint64_t number = 0;                  // The tokens, or those to keep.
  ForgetTarget target = EntryNumber{};  // kForget.
  std::string fork = {};                // kFork.
  std::optional<uint64_t> at_seq = {};  // kFork.
  bool sync = true;                     // Of an append.
  std::string request_id = {};
};

// What a caller sees of a session, to the byte.
struct Shown {
  struct Token {
    int64_t position = 0;
    std::optional<Tier> tier = {};
    std::string keys = {};    // [banks, key_dim] in the profile's dtype.
    std::string values = {};  // [banks, value_dim].
    friend bool operator==(const Token&, const Token&) = default;
  };
  struct Said {
    std::string words = {};
    std::string source = {};
    friend bool operator==(const Said&, const Said&) = default;
  };
  uint64_t seq_next = 0;
  int64_t position_next = 0;
  std::map<uint64_t, Token> tokens = {};  // By seq; none that is forgotten.
  std::map<uint64_t, Said> entries = {};
  friend bool operator==(const Shown&, const Shown&) = default;
};
absl::StatusOr<Shown> Show(const Session& session);
using ShownByName = std::map<std::string, Shown>;

// A directory in vectors. A copy is a fork of everything.
class Model {
 public:
  void Apply(const Step& step);
  ShownByName Show() const;

 private:
  struct Remembered {
    Shown log;  // Without tiers.
    uint64_t committed_seq = 0;
    uint64_t entry_next = 1;
    std::map<uint64_t, SeqRange> ranges;  // Of live entries.
  };
  void Append(const Step& step, Remembered& session) const;
  static void ForgetEntry(Remembered& session, uint64_t entry);
  static void ForgetChosen(Remembered& session, const Step& step);
  static Remembered ForkOf(const Remembered& session, uint64_t at_seq);

  std::map<std::string, Remembered> sessions_;
};

struct Scenario {
  std::vector<Step> steps;
  std::vector<ShownByName> after;  // The first n steps, n = 0 to all.
};

// Creates, appends, commits, seals, writes a checkpoint, forgets in the tail
// and in full blocks, forks, forgets on either
// side, deletes, and appends again.
const Scenario& TheScenario();

// A server that can be killed and started again over what is on its disk.
class Machine {
 public:
  using OpenStore = std::function<absl::StatusOr<std::unique_ptr<Store>>()>;
  explicit Machine(OpenStore open_store) : open_store_(std::move(open_store)) {}

  void Kill();
  absl::Status Start();
  // OK also for what is there already, or gone already.
  absl::Status Do(const Step& step);
  // Errors: those of opening a session.
  absl::StatusOr<ShownByName> Show();
  // Every session verifies clean, and attends as a slow softmax over
  // `expected`.
  void ExpectSoundAnswers(const ShownByName& expected);

 private:
  absl::Status Mutate(Session& session, const Step& step);

  FakeClock clock_;
  const OpenStore open_store_;
  std::unique_ptr<Memory> memory_;
};

// Does every step of a scenario on a machine that was started, through any
// number of failures. After each, what the machine shows must be what it should
// after some prefix of the steps, and that must hold everything that was
// promised: every step acknowledged before, but for buffered appends at the
// end.
class Trial {
 public:
  struct Options {
    // Brings the machine back after a failure.
    std::function<void()> restart;
    // A crash loses what was not synced; otherwise only the process died.
    bool loses_unsynced = true;
    // Called before each step; true: crash now, although nothing failed.
    std::function<bool(size_t step)> crash_before = {};
  };
  // Lifetime: borrows the scenario and the machine.
  Trial(const Scenario& scenario, Machine& machine, Options options)
      : scenario_(scenario), machine_(machine), options_(std::move(options)) {}

  // Stops at the first failed expectation.
  void Run();
  int crashes() const { return crashes_; }

 private:
  void ExpectRefusal(const absl::Status& failure, size_t number);
  // `number` becomes the step to go on with.
  void Recover(size_t& number, bool in_doubt);

  const Scenario& scenario_;
  Machine& machine_;
  const Options options_;
  size_t reached_ = 0;  // No later step can be there.
  int crashes_ = 0;
};

}  // namespace mneme::memory

#endif  // MNEME_TESTS_MEMORY_SCENARIO_H_
