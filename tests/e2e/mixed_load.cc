#include "tests/e2e/mixed_load.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace mneme::e2e {
namespace {

constexpr size_t kDim = 8;
constexpr size_t kQueryHeads = 2;
constexpr uint32_t kWindow = 64;
constexpr uint64_t kTokensMax = 12'000;  // Then a session makes place.
constexpr uint64_t kEntriesMax = 120;
constexpr size_t kSessionsMax = 4;  // Of a worker.
constexpr uint32_t kEveryPassage = 1000;
// In every sentence, so that one question recalls all.
constexpr char kCommonWords[] = "stands here";

absl::Status Wrong(const ToldSession& told, const std::string& what) {
  return absl::DataLossError(absl::StrCat(told.name, ": ", what));
}

void SetTensor(const std::vector<float>& numbers, std::vector<int64_t> shape,
               v1::Tensor& tensor) {
  tensor.set_data_type(v1::DATA_TYPE_FLOAT32);
  for (const int64_t extent : shape) tensor.add_shape(extent);
  tensor.set_data(reinterpret_cast<const char*>(numbers.data()),
                  numbers.size() * sizeof(float));
}

std::vector<float> Floats(const v1::Tensor& tensor) {
  std::vector<float> numbers(tensor.data().size() / sizeof(float));
  std::memcpy(numbers.data(), tensor.data().data(), tensor.data().size());
  return numbers;
}

v1::Profile RowsProfile() {
  v1::Profile profile;
  profile.set_name("mixed");
  profile.set_layers(1);
  profile.set_query_heads(kQueryHeads);
  profile.set_kv_heads(1);
  profile.set_key_dim(kDim);
  profile.set_data_type(v1::DATA_TYPE_FLOAT32);
  profile.mutable_window()->set_tokens(kWindow);
  profile.mutable_knn()->mutable_positions()->set_policy(
      v1::POSITION_POLICY_NONE);
  profile.mutable_compressive()->set_segment_tokens(64);
  profile.mutable_compressive()->add_gate_logits(-1);
  return profile;
}

// The softmax over all rows, of one query row.
std::vector<double> SlowAttend(const ToldSession& told, const float* query) {
  double largest = -INFINITY;
  std::vector<double> logits;
  for (const auto& [seq, row] : told.rows) {
    double logit = 0;
    for (size_t i = 0; i < kDim; ++i) logit += double{query[i]} * row.key[i];
    logits.push_back(logit / std::sqrt(kDim));
    largest = std::max(largest, logits.back());
  }
  std::vector<double> out(kDim);
  double total = 0;
  size_t at = 0;
  for (const auto& [seq, row] : told.rows) {
    const double weight = std::exp(logits[at++] - largest);
    total += weight;
    for (size_t i = 0; i < kDim; ++i) out[i] += weight * row.value[i];
  }
  for (double& x : out) x /= total;
  return out;
}

}  // namespace

LoadCounts& LoadCounts::operator+=(const LoadCounts& other) {
  synced_appends += other.synced_appends;
  buffered_appends += other.buffered_appends;
  tokens += other.tokens;
  forgets += other.forgets;
  forks += other.forks;
  commits += other.commits;
  created += other.created;
  deleted += other.deleted;
  reads += other.reads;
  settled_kept += other.settled_kept;
  settled_lost += other.settled_lost;
  return *this;
}

LoadWorker::LoadWorker(int number, uint64_t seed)
    : number_(number), random_(seed + static_cast<uint64_t>(number)) {}

int64_t LoadWorker::Int(int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random_);
}

absl::Status LoadWorker::Run(client::Client& client,
                             const std::atomic<bool>& stop) {
  while (!stop) RETURN_IF_ERROR(Step(client));
  return absl::OkStatus();
}

absl::Status LoadWorker::Step(client::Client& client) {
  if (sessions_.empty()) return Do(client, Create());
  const auto session =
      static_cast<size_t>(Int(0, static_cast<int64_t>(sessions_.size()) - 1));
  const ToldSession& told = sessions_[session];
  const bool full = told.is_text ? told.entries.size() >= kEntriesMax
                                 : told.seq_next >= kTokensMax;
  const int64_t dice = Int(0, 99);
  if (full)
    return Do(client,
              told.is_text && dice < 95 ? Forget(session) : Delete(session));
  if (dice < 55) return Do(client, Append(session));
  if (dice < 60) {
    return Do(client, told.is_text ? Forget(session) : Commit(session));
  }
  if (dice == 60 && !told.is_text) return Do(client, ForgetRows(session));
  if (dice >= 60 && dice < 63 && sessions_.size() < kSessionsMax) {
    return Do(client, Fork(session));
  }
  if (dice < 65 && sessions_.size() < kSessionsMax) {
    return Do(client, Create());
  }
  if (dice == 65) return Do(client, Delete(session));
  ++counts_.reads;
  return told.is_text ? CheckRecall(client, told) : CheckAttend(client, told);
}

absl::Status LoadWorker::Do(client::Client& client, Pending pending) {
  pending_ = std::move(pending);
  after_crash_ = false;
  RETURN_IF_ERROR(pending_->ask(client));
  pending_.reset();
  return absl::OkStatus();
}

LoadWorker::Pending LoadWorker::Create() {
  ToldSession told;
  told.is_text = number_ % 2 == 0;
  told.name = absl::StrCat("namespaces/mixed/sessions/w", number_, "-",
                           sessions_made_++);
  return {.session = sessions_.size(),

          .ask = [this, told](auto& client) {
            v1::CreateSessionRequest request;
            request.set_session(told.name);
            if (told.is_text) {
              request.set_profile_name("text");
            } else {
              *request.mutable_profile() = RowsProfile();
            }
            const absl::Status done = client.CreateSession(request).status();
            if (!done.ok() && !(after_crash_ && absl::IsAlreadyExists(done))) {
              return done;
            }
            sessions_.push_back(told);
            ++counts_.created;
            return absl::OkStatus();
          }};
}

v1::AppendRequest LoadWorker::TextAppend(const ToldSession& told) {
  v1::AppendRequest request;
  std::string text;
  const int64_t sentences = Int(0, 9) == 0 ? Int(20, 60) : Int(1, 3);
  for (int64_t i = 0; i < sentences; ++i) {
    absl::StrAppend(&text, i == 0 ? "" : " ", "Fact w", number_, "e",
                    told.entry_next, "x", requests_made_, "s", i, " ",
                    kCommonWords, ".");
  }
  request.mutable_text()->set_text(text);
  request.mutable_text()->set_source(absl::StrCat("source", Int(0, 7)));
  return request;
}

v1::AppendRequest LoadWorker::TokensAppend(const ToldSession& /*told*/) {
  const int64_t kind = Int(0, 9);
  const int64_t count = kind < 6 ? 1 : kind < 9 ? Int(2, 300) : Int(1000, 3000);
  std::normal_distribution<float> normal;
  v1::AppendRequest request;
  std::vector<float> numbers(count * kDim);
  for (v1::Tensor* tensor : {request.mutable_tokens()->mutable_keys(),
                             request.mutable_tokens()->mutable_values()}) {
    for (float& x : numbers) x = normal(random_);
    SetTensor(numbers, {1, 1, count, static_cast<int64_t>(kDim)}, *tensor);
  }
  return request;
}

LoadWorker::Pending LoadWorker::Append(size_t session) {
  const ToldSession& told = sessions_[session];
  v1::AppendRequest request =
      told.is_text ? TextAppend(told) : TokensAppend(told);
  request.set_session(told.name);
  request.set_request_id(absl::StrCat("w", number_, "r", requests_made_++));
  const bool synced = Int(0, 1) == 0;
  request.set_acknowledge(synced ? v1::ACKNOWLEDGE_SYNCED
                                 : v1::ACKNOWLEDGE_BUFFERED);
  uint64_t tokens = 0;
  if (told.is_text) {
    tokens = 1;
  } else {
    tokens = request.tokens().keys().shape(2);
  }
  return {
      .session = session,
      .entries = told.is_text ? 1U : 0U,
      .tokens = tokens,
      .ask = [this, session, request, tokens, synced](auto& client) {
        ToldSession& told = sessions_[session];
        ASSIGN_OR_RETURN(const v1::AppendResponse response,
                         client.Append(request));
        if (response.seq_first() != told.seq_next ||
            (told.is_text ? response.seq_next() < told.seq_next + tokens
                          : response.seq_next() != told.seq_next + tokens) ||
            (response.replayed() && !after_crash_)) {
          return Wrong(told, absl::StrCat("an append of ", tokens, " at ",
                                          told.seq_next, " was answered with ",
                                          response.ShortDebugString()));
        }
        ++(synced ? counts_.synced_appends : counts_.buffered_appends);
        counts_.tokens += response.seq_next() - response.seq_first();
        if (told.is_text) {
          if (response.entry() != told.entry_next) {
            return Wrong(told, "an entry has another number");
          }
          told.entries[told.entry_next++] = {request.text().text(),
                                             request.text().source()};
        } else {
          const auto keys = Floats(request.tokens().keys());
          const auto values = Floats(request.tokens().values());
          for (uint64_t i = 0; i < tokens; ++i) {
            told.rows[told.seq_next + i] = {
                {keys.begin() + i * kDim, keys.begin() + (i + 1) * kDim},
                {values.begin() + i * kDim, values.begin() + (i + 1) * kDim}};
          }
        }
        told.seq_next = response.seq_next();
        return absl::OkStatus();
      }};
}

LoadWorker::Pending LoadWorker::Forget(size_t session) {
  const ToldSession& told = sessions_[session];
  if (told.entries.empty()) return Append(session);
  auto it = told.entries.begin();
  std::advance(it, Int(0, static_cast<int64_t>(told.entries.size()) - 1));
  v1::ForgetRequest request;
  request.set_session(told.name);
  const bool by_source = Int(0, 3) == 0;
  if (by_source) {
    request.set_source(it->second.source);
  } else {
    request.set_entry(it->first);
  }
  return {.session = session,

          .ask = [this, session, request](auto& client) {
            const absl::Status done = client.Forget(request).status();
            if (!done.ok() && !(after_crash_ && absl::IsNotFound(done))) {
              return done;
            }
            ToldSession& told = sessions_[session];
            for (auto it = told.entries.begin(); it != told.entries.end();) {
              const bool gone = request.source().empty()
                                    ? it->first == request.entry()
                                    : it->second.source == request.source();
              if (!gone) {
                ++it;
                continue;
              }
              told.forgotten.push_back(
                  it->second.text.substr(0, it->second.text.find(" stands")));
              it = told.entries.erase(it);
            }
            ++counts_.forgets;
            return absl::OkStatus();
          }};
}

LoadWorker::Pending LoadWorker::ForgetRows(size_t session) {
  const ToldSession& told = sessions_[session];
  if (told.seq_next == 0) return Append(session);
  v1::ForgetRequest request;
  request.set_session(told.name);
  const int64_t begin = Int(0, static_cast<int64_t>(told.seq_next) - 1);
  request.mutable_seq_range()->set_begin(begin);
  request.mutable_seq_range()->set_end(begin + Int(1, 200));
  return {.session = session, .ask = [this, session, request](auto& client) {
            const absl::Status done = client.Forget(request).status();
            // Nothing may be left there, of which this is no wrong answer.
            if (!done.ok() && !absl::IsNotFound(done)) return done;
            auto& rows = sessions_[session].rows;
            const auto begin = rows.lower_bound(request.seq_range().begin());
            const auto end = rows.lower_bound(request.seq_range().end());
            if (absl::IsNotFound(done) && begin != end && !after_crash_) {
              return Wrong(sessions_[session], "rows are not found");
            }
            rows.erase(begin, end);
            ++counts_.forgets;
            return absl::OkStatus();
          }};
}

LoadWorker::Pending LoadWorker::Fork(size_t session) {
  ToldSession fork = sessions_[session];
  v1::ForkSessionRequest request;
  request.set_session(fork.name);
  fork.name = absl::StrCat("namespaces/mixed/sessions/w", number_, "-",
                           sessions_made_++);
  request.set_fork(fork.name);
  if (!fork.is_text && Int(0, 1) == 0) {
    fork.seq_next = Int(0, static_cast<int64_t>(fork.seq_next));
    fork.rows.erase(fork.rows.lower_bound(fork.seq_next), fork.rows.end());
    request.set_at_seq(fork.seq_next);
  }
  return {.session = session, .ask = [this, fork, request](auto& client) {
            const absl::Status done = client.ForkSession(request).status();
            if (!done.ok() && !(after_crash_ && absl::IsAlreadyExists(done))) {
              return done;
            }
            sessions_.push_back(fork);
            ++counts_.forks;
            return absl::OkStatus();
          }};
}

LoadWorker::Pending LoadWorker::Commit(size_t session) {
  return {.session = session, .ask = [this, session](auto& client) {
            v1::CommitWindowRequest request;
            request.set_session(sessions_[session].name);
            request.set_keep_tokens(7);
            request.set_expected_seq(sessions_[session].seq_next);
            ++counts_.commits;
            return client.CommitWindow(request).status();
          }};
}

LoadWorker::Pending LoadWorker::Delete(size_t session) {
  return {.session = session, .ask = [this, session](auto& client) {
            const absl::Status done =
                client.DeleteSession(sessions_[session].name).status();
            if (!done.ok() && !(after_crash_ && absl::IsNotFound(done))) {
              return done;
            }
            sessions_.erase(sessions_.begin() + static_cast<long>(session));
            ++counts_.deleted;
            return absl::OkStatus();
          }};
}

absl::Status LoadWorker::Settle(client::Client& client) {
  if (!pending_) return absl::OkStatus();
  after_crash_ = true;
  if (pending_->tokens > 0) {
    const ToldSession& told = sessions_[pending_->session];
    ASSIGN_OR_RETURN(const v1::Session seen, client.GetSession(told.name));
    const bool kept = seen.seq_next() > told.seq_next;
    const uint64_t entries =
        told.entries.size() + (kept ? pending_->entries : 0);
    const uint64_t tokens = seen.seq_next() - told.seq_next;
    if (seen.seq_next() < told.seq_next || seen.entries() != entries ||
        (kept && !told.is_text && tokens != pending_->tokens)) {
      return Wrong(
          told,
          absl::StrCat("the log ends at ", seen.seq_next(), " with ",
                       seen.entries(), " entries; ", told.seq_next, " and ",
                       told.entries.size(), " are acknowledged, and ",
                       pending_->tokens, " were under way"));
    }
    ++(kept ? counts_.settled_kept : counts_.settled_lost);
  }
  RETURN_IF_ERROR(pending_->ask(client));
  pending_.reset();
  return absl::OkStatus();
}

absl::Status LoadWorker::Check(client::Client& client) {
  RETURN_IF_ERROR(Settle(client));
  for (const ToldSession& told : sessions_) {
    RETURN_IF_ERROR(CheckSession(client, told));
  }
  return absl::OkStatus();
}

absl::Status LoadWorker::CheckSession(client::Client& client,
                                      const ToldSession& told) {
  ASSIGN_OR_RETURN(const v1::Session seen, client.GetSession(told.name));
  if (seen.seq_next() != told.seq_next ||
      seen.entries() != told.entries.size()) {
    return Wrong(
        told, absl::StrCat("ends at ", seen.seq_next(), " with ",
                           seen.entries(), " entries; expected ", told.seq_next,
                           " and ", told.entries.size()));
  }
  if (told.is_text) {
    RETURN_IF_ERROR(CheckEntries(client, told));
    RETURN_IF_ERROR(CheckRecall(client, told));
  } else {
    RETURN_IF_ERROR(CheckRows(client, told));
    RETURN_IF_ERROR(CheckAttend(client, told));
  }
  ASSIGN_OR_RETURN(const v1::VerifyResponse verified, client.Verify(told.name));
  if (verified.clean()) return absl::OkStatus();
  return Wrong(told, "verify: " + verified.ShortDebugString());
}

// Every entry with all of its words, and no other.
absl::Status LoadWorker::CheckEntries(client::Client& client,
                                      const ToldSession& told) {
  if (told.entries.empty()) return absl::OkStatus();
  std::map<uint64_t, std::map<uint64_t, std::string>> passages;
  // An answer has a limit, so entries are asked for by source.
  std::set<std::string> sources;
  for (const auto& [number, entry] : told.entries) sources.insert(entry.source);
  for (const std::string& source : sources) {
    v1::RecallRequest request;
    request.set_session(told.name);
    request.set_query(kCommonWords);
    request.set_limit(kEveryPassage);
    request.mutable_filter()->set_source(source);
    ASSIGN_OR_RETURN(const v1::RecallResponse recalled, client.Recall(request));
    for (const v1::Passage& passage : recalled.passages()) {
      if (!passages[passage.entry()]
               .emplace(passage.span().begin(), passage.text())
               .second) {
        return Wrong(told, "a passage is there twice");
      }
    }
  }
  if (passages.size() != told.entries.size()) {
    return Wrong(told, absl::StrCat(passages.size(), " entries of ",
                                    told.entries.size(), " are recalled"));
  }
  for (const auto& [number, entry] : told.entries) {
    std::string words;
    for (const auto& [begin, text] : passages[number]) {
      absl::StrAppend(&words, words.empty() ? "" : " ", text);
    }
    if (words != entry.text) {
      return Wrong(told, absl::StrCat("entry ", number, " reads ", words));
    }
  }
  return absl::OkStatus();
}

// Every row to the bit, and no other.
absl::Status LoadWorker::CheckRows(client::Client& client,
                                   const ToldSession& told) {
  auto row = told.rows.begin();
  std::optional<uint64_t> next = 0;
  while (next) {
    v1::ReadTokensRequest request;
    request.set_session(told.name);
    request.set_seq_begin(*next);
    request.set_tensors(true);
    ASSIGN_OR_RETURN(const v1::ReadTokensResponse read,
                     client.ReadTokens(request));
    const std::vector<float> keys = Floats(read.keys());
    const std::vector<float> values = Floats(read.values());
    for (int i = 0; i < read.seqs_size(); ++i, ++row) {
      if (row == told.rows.end() || read.seqs(i) != row->first ||
          !std::equal(row->second.key.begin(), row->second.key.end(),
                      keys.begin() + i * kDim) ||
          !std::equal(row->second.value.begin(), row->second.value.end(),
                      values.begin() + i * kDim)) {
        return Wrong(told,
                     absl::StrCat("seq ", read.seqs(i), " is not as told"));
      }
    }
    next.reset();
    if (read.has_next_seq()) next = read.next_seq();
  }
  if (row == told.rows.end()) return absl::OkStatus();
  return Wrong(told,
               absl::StrCat("rows from seq ", row->first, " are missing"));
}

// One entry is found by its own words, one that was forgotten is not.
absl::Status LoadWorker::CheckRecall(client::Client& client,
                                     const ToldSession& told) {
  v1::RecallRequest request;
  request.set_session(told.name);
  if (!told.entries.empty()) {
    auto it = told.entries.begin();
    std::advance(it, Int(0, static_cast<int64_t>(told.entries.size()) - 1));
    const std::string words =
        it->second.text.substr(0, it->second.text.find('.'));
    request.set_query(words);
    ASSIGN_OR_RETURN(const v1::RecallResponse found, client.Recall(request));
    if (found.passages().empty() || found.passages(0).entry() != it->first ||
        found.passages(0).text().find(words) == std::string::npos) {
      return Wrong(told, absl::StrCat("\"", words, "\" is not found first"));
    }
  }
  if (told.forgotten.empty()) return absl::OkStatus();
  const std::string& words = told.forgotten[static_cast<size_t>(
      Int(0, static_cast<int64_t>(told.forgotten.size()) - 1))];
  request.set_query(words);
  ASSIGN_OR_RETURN(const v1::RecallResponse found, client.Recall(request));
  for (const v1::Passage& passage : found.passages()) {
    if (passage.text().find(words + " ") != std::string::npos) {
      return Wrong(told, absl::StrCat("\"", words, "\" was forgotten"));
    }
  }
  return absl::OkStatus();
}

absl::Status LoadWorker::CheckAttend(client::Client& client,
                                     const ToldSession& told) {
  if (told.rows.empty()) return absl::OkStatus();
  std::normal_distribution<float> normal;
  std::vector<float> queries(kQueryHeads * kDim);
  for (float& x : queries) x = normal(random_);
  v1::AttendRequest request;
  request.set_session(told.name);
  request.mutable_selection()->set_exhaustive(true);
  request.add_tiers(v1::TIER_WINDOW);
  request.add_tiers(v1::TIER_KNN);
  SetTensor(queries, {kQueryHeads, 1, kDim},
            *request.add_reads()->mutable_queries());
  ASSIGN_OR_RETURN(const v1::AttendResponse attended, client.Attend(request));
  const std::vector<float> out = Floats(attended.outputs(0).output());
  for (size_t head = 0; head < kQueryHeads; ++head) {
    const auto expected = SlowAttend(told, &queries[head * kDim]);
    for (size_t i = 0; i < kDim; ++i) {
      // Of normal values; float sums in tiles of 128 and exponentials of logits
      // below 16 are off by some 200 units at most.
      if (std::abs(out[head * kDim + i] - expected[i]) > 200 * 0x1p-23) {
        return Wrong(told, absl::StrCat("attention is off by ",
                                        out[head * kDim + i] - expected[i],
                                        " over ", told.rows.size(), " rows"));
      }
    }
  }
  return absl::OkStatus();
}

namespace {

std::unique_ptr<client::Client> ClientOf(const std::string& address) {
  // One try: a test must see every failure.
  return std::make_unique<client::Client>(
      client::Connect(address),
      client::ClientOptions{.deadline = std::chrono::seconds(120),
                            .attempts = 1});
}

}  // namespace

MixedLoad::MixedLoad(int workers, uint64_t seed) {
  for (int i = 0; i < workers; ++i) {
    workers_.push_back(std::make_unique<LoadWorker>(i, seed));
  }
}

absl::Status MixedLoad::Run(const std::string& address, std::atomic<bool>& stop,
                            const std::function<void()>& while_running) {
  std::vector<absl::Status> ends(workers_.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < workers_.size(); ++i) {
    threads.emplace_back([this, i, &ends, &address, &stop] {
      const auto client = ClientOf(address);
      ends[i] = workers_[i]->Run(*client, stop);
    });
  }
  while_running();
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& end : ends) {
    if (!end.ok() && !absl::IsUnavailable(end)) return end;
  }
  return absl::OkStatus();
}

absl::Status MixedLoad::Check(const std::string& address) {
  const auto client = ClientOf(address);
  for (const auto& worker : workers_) RETURN_IF_ERROR(worker->Check(*client));
  return absl::OkStatus();
}

LoadCounts MixedLoad::counts() const {
  LoadCounts counts;
  for (const auto& worker : workers_) counts += worker->counts();
  return counts;
}

}  // namespace mneme::e2e
