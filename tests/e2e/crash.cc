// mneme_crash --mneme PATH [--signal KILL] [--rounds 5] [--corpus DIR] ...:
// appends documents to a server that is killed (KILL) or stopped (TERM) at
// random moments, and looks whether everything that was acknowledged is there,
// once, with the same answers.

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/client.h"
#include "tests/client/temporary_dir.h"
#include "tests/e2e/corpus.h"
#include "tests/e2e/flags.h"
#include "tests/e2e/ledger.h"
#include "tests/e2e/server_process.h"

namespace mneme::e2e {
namespace {

using google::protobuf::util::MessageDifferencer;
using std::chrono::microseconds;
using std::chrono::steady_clock;

constexpr char kSession[] = "namespaces/default/sessions/crash";
constexpr size_t kQuestions = 50;
// Kills fall into the appends that follow a random one, up to this much later.
constexpr double kDelayAppends = 1.5;

double SecondsSince(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

absl::Status Wrong(const std::string& what) {
  return absl::DataLossError(what);
}

absl::Status CreateSession(client::Client& client) {
  v1::CreateSessionRequest request;
  request.set_session(kSession);
  request.set_profile_name("text");
  return client.CreateSession(request).status();
}

absl::StatusOr<v1::RecallResponse> Ask(client::Client& client,
                                       const std::string& question) {
  v1::RecallRequest request;
  request.set_session(kSession);
  request.set_query(question);
  request.set_limit(20);
  return client.Recall(request);
}

absl::StatusOr<std::vector<v1::RecallResponse>> AskAll(client::Client& client,
                                                       const Corpus& corpus) {
  std::vector<v1::RecallResponse> answers;
  for (const std::string& question : corpus.questions) {
    ASSIGN_OR_RETURN(answers.emplace_back(), Ask(client, question));
  }
  return answers;
}

struct Figures {
  uint64_t stops_at_work = 0;     // While parts were appended.
  uint64_t kills_at_opening = 0;  // Before the server served again.
  uint64_t in_flight_kept = 0;    // Unacknowledged, yet there after the crash.
  double append_seconds = 0;
  double reopen_seconds = 0;        // Start to serving.
  double first_answer_seconds = 0;  // Start to the first answer.
  uint64_t peak_bytes = 0;
};

class Trial {
 public:
  Trial(const Flags& flags, const Corpus& corpus, std::mt19937_64& random)
      : corpus_(corpus),
        random_(random),
        kills_(flags.Text("signal") == "KILL"),
        ledger_(kSession, corpus),
        server_(flags.Text("mneme"), scratch_.Path("")),
        reference_(flags.Text("mneme"), reference_scratch_.Path("")) {}

  absl::Status Run(uint64_t rounds) {
    RETURN_IF_ERROR(server_.Start());
    Reconnect();
    RETURN_IF_ERROR(CreateSession(*client_));
    for (uint64_t round = 0; round < rounds; ++round) {
      RETURN_IF_ERROR(CrashOnce(round, rounds));
      const absl::Status sound = ledger_.Check(*client_);
      if (!sound.ok()) {
        return absl::Status(
            sound.code(),
            absl::StrCat("after round ", round + 1, ": ", sound.message()));
      }
    }
    while (!ledger_.complete()) RETURN_IF_ERROR(AppendNext());
    RETURN_IF_ERROR(ledger_.Check(*client_));
    RETURN_IF_ERROR(MeasureReopening());
    return CompareWithUninterrupted();
  }

  const Figures& figures() const { return figures_; }

 private:
  void Reconnect() {
    // One try: a test must see every failure.
    client_ = std::make_unique<client::Client>(
        client::Connect(server_.address()),
        client::ClientOptions{.deadline = std::chrono::seconds(600),
                              .attempts = 1});
  }

  absl::Status AppendNext() {
    const auto start = steady_clock::now();
    ASSIGN_OR_RETURN(const v1::AppendResponse response,
                     client_->Append(ledger_.next()));
    const double seconds = SecondsSince(start);
    if (response.replayed()) {
      // Only the part that was under way at a kill can be there already.
      ++figures_.in_flight_kept;
      if (!after_kill_) return Wrong("an append was there before it was made");
    } else {
      append_seconds_ = append_seconds_ == 0
                            ? seconds
                            : 0.8 * append_seconds_ + 0.2 * seconds;
    }
    after_kill_ = false;
    return ledger_.Note(response);
  }

  // Appends until the server is killed at a random moment, then starts it
  // again, every fourth time with another kill while it opens.
  absl::Status CrashOnce(uint64_t round, uint64_t rounds) {
    const size_t left = corpus_.parts.size() - ledger_.acknowledged();
    // Shares what is left among the stops that are left; one part at least is
    // still to come.
    const size_t share = left / (rounds - round) + 1;
    const size_t target =
        std::min(ledger_.acknowledged() +
                     std::uniform_int_distribution<size_t>(0, share)(random_),
                 corpus_.parts.size() - 1);
    const double delay =
        std::uniform_real_distribution<double>(0, kDelayAppends)(random_) *
        append_seconds_;
    while (ledger_.acknowledged() < target && !ledger_.complete()) {
      RETURN_IF_ERROR(AppendNext());
    }
    absl::StatusOr<int> code = 0;
    std::thread killer([this, delay, &code] {
      std::this_thread::sleep_for(
          microseconds(static_cast<int64_t>(1e6 * delay)));
      if (kills_) {
        server_.Kill();
      } else {
        code = server_.Stop();
      }
    });
    absl::Status status;
    while (status.ok() && !ledger_.complete()) status = AppendNext();
    killer.join();
    if (!status.ok() && !absl::IsUnavailable(status)) return status;
    RETURN_IF_ERROR(code.status());
    if (*code != 0) {
      return absl::InternalError(
          absl::StrCat("the stopped server exited with ", *code));
    }
    ++figures_.stops_at_work;
    std::printf("round %llu: %.1f ms after part %zu, %zu acknowledged\n",
                static_cast<unsigned long long>(round + 1), 1e3 * delay, target,
                ledger_.acknowledged());
    std::fflush(stdout);
    if (random_() % 4 == 0) {
      RETURN_IF_ERROR(server_.Begin());
      std::this_thread::sleep_for(microseconds(random_() % 200'000));
      server_.Kill();
      ++figures_.kills_at_opening;
    }
    RETURN_IF_ERROR(server_.Start());
    Reconnect();
    after_kill_ = true;
    return absl::OkStatus();
  }

  absl::Status MeasureReopening() {
    ASSIGN_OR_RETURN(answers_, AskAll(*client_, corpus_));
    server_.Kill();
    const auto start = steady_clock::now();
    RETURN_IF_ERROR(server_.Start());
    figures_.reopen_seconds = SecondsSince(start);
    Reconnect();
    ASSIGN_OR_RETURN(const v1::RecallResponse answer,
                     Ask(*client_, corpus_.questions[0]));
    figures_.first_answer_seconds = SecondsSince(start);
    return Equal(answer, answers_[0], "after the last reopening, question 0");
  }

  absl::Status CompareWithUninterrupted() {
    ASSIGN_OR_RETURN(answers_, AskAll(*client_, corpus_));
    server_.Kill();
    RETURN_IF_ERROR(reference_.Start());
    client::Client client(client::Connect(reference_.address()));
    RETURN_IF_ERROR(CreateSession(client));
    const auto start = steady_clock::now();
    for (const v1::AppendRequest& part : corpus_.parts) {
      RETURN_IF_ERROR(client.Append(part).status());
    }
    figures_.append_seconds = SecondsSince(start);
    ASSIGN_OR_RETURN(const auto expected, AskAll(client, corpus_));
    figures_.peak_bytes = reference_.PeakResidentBytes();
    for (size_t i = 0; i < expected.size(); ++i) {
      RETURN_IF_ERROR(
          Equal(answers_[i], expected[i], absl::StrCat("question ", i)));
    }
    return absl::OkStatus();
  }

  // Bit for bit: ranks, scores, spans, shares of heads and tiers, words.
  static absl::Status Equal(const v1::RecallResponse& got,
                            const v1::RecallResponse& expected,
                            const std::string& where) {
    if (expected.passages().empty()) return Wrong(where + ": no answer");
    MessageDifferencer differencer;
    std::string difference;
    differencer.ReportDifferencesToString(&difference);
    if (differencer.Compare(expected, got)) return absl::OkStatus();
    return Wrong(where + ": not as an uninterrupted run answers: " +
                 difference.substr(0, 1000));
  }

  const testing::TemporaryDir scratch_;
  const testing::TemporaryDir reference_scratch_;
  const Corpus& corpus_;
  std::mt19937_64& random_;
  const bool kills_;  // Otherwise it stops the server in order.
  Ledger ledger_;
  ServerProcess server_;
  ServerProcess reference_;
  std::unique_ptr<client::Client> client_;
  std::vector<v1::RecallResponse> answers_;
  double append_seconds_ = 0;  // Of one part, lately.
  bool after_kill_ = false;    // No part was appended since a kill.
  Figures figures_;
};

absl::Status Run(int argc, char** argv) {
  ASSIGN_OR_RETURN(const Flags flags,
                   Flags::Parse(argc, argv,
                                {{"mneme", "mneme"},
                                 {"signal", "KILL"},
                                 {"rounds", "5"},
                                 {"seed", "20240731"},
                                 {"corpus", ""},
                                 {"documents", "60"},
                                 {"document-bytes", "8000"}}));
  const std::string& signal = flags.Text("signal");
  if (signal != "KILL" && signal != "TERM") {
    return absl::InvalidArgumentError("--signal: expected KILL or TERM");
  }
  ASSIGN_OR_RETURN(const uint64_t rounds, flags.Number("rounds"));
  ASSIGN_OR_RETURN(const uint64_t seed, flags.Number("seed"));
  ASSIGN_OR_RETURN(const uint64_t documents, flags.Number("documents"));
  ASSIGN_OR_RETURN(const uint64_t document_bytes,
                   flags.Number("document-bytes"));
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  Corpus corpus;
  if (flags.Text("corpus").empty()) {
    corpus = Generate(random, kSession, documents, document_bytes, kQuestions);
  } else {
    ASSIGN_OR_RETURN(corpus, Load(flags.Text("corpus"), kSession, kQuestions));
  }
  uint64_t bytes = 0;
  for (const auto& part : corpus.parts) bytes += part.text().text().size();
  Trial trial(flags, corpus, random);
  RETURN_IF_ERROR(trial.Run(rounds));
  const Figures& figures = trial.figures();
  const nlohmann::ordered_json line = {
      {"name", "crash"},
      {"signal", signal},
      {"seed", seed},
      {"stops_at_work", figures.stops_at_work},
      {"kills_at_opening", figures.kills_at_opening},
      {"parts", corpus.parts.size()},
      {"text_bytes", bytes},
      {"unacknowledged_kept", figures.in_flight_kept},
      {"equal_answers", corpus.questions.size()},
      {"append_seconds", figures.append_seconds},
      {"reopen_seconds", figures.reopen_seconds},
      {"first_answer_seconds", figures.first_answer_seconds},
      {"peak_resident_bytes", figures.peak_bytes}};
  std::printf("%s\n", line.dump().c_str());
  return absl::OkStatus();
}

}  // namespace
}  // namespace mneme::e2e

int main(int argc, char** argv) {
  const absl::Status status = mneme::e2e::Run(argc, argv);
  if (status.ok()) return 0;
  std::fprintf(stderr, "mneme_crash: FAILED: %s\n",
               std::string(status.message()).c_str());
  return 1;
}
