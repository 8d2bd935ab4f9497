#include "tests/memory/scenario.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "memory/intake.h"
#include "memory/segments.h"
#include "memory/text/encoder.h"
#include "memory/tiers.h"
#include "tests/reference/attention.h"

namespace mneme::memory {
namespace {

using Kind = Step::Kind;

constexpr double kFloatUnit = 0x1p-24;
// Every text has these words, so that one question recalls all.
constexpr char kCommonWords[] = "stands here";

bool IsText(const std::string& session) { return session.starts_with("text"); }

Profile ProfileOf(const std::string& session) {
  Profile profile;
  if (IsText(session)) {
    profile = ProfileByName("text").value();
    profile.window->tokens = 12;
    profile.compressive->segment_tokens = 8;
    return Complete(profile).value();
  }
  profile.name = "tiny";
  profile.layers = 1;
  profile.query_heads = 2;
  profile.kv_heads = 1;
  profile.key_dim = 4;
  profile.value_dim = 4;
  profile.dtype = attention::DType::kF32;
  profile.window = WindowTier{.tokens = 40};
  profile.knn =
      KnnTier{.top_k = 8, .positions = {.policy = PositionPolicy::kNone}};
  profile.compressive =
      CompressiveTier{.segment_tokens = 16, .gate_logits = {-1.0F}};
  // Blocks, and not segments, leave the window: it can be committed by hand.
  profile.window->commit = CommitPolicy::kToken;
  return Complete(profile).value();
}

// The same for every session and step, so that a repeated append is equal.
Tokens TokensOf(const Step& step) {
  uint64_t seed = 17;
  for (const char c : step.request_id) seed = seed * 31 + c;
  testing::Random random(seed);
  return RandomTokens(ProfileOf(step.session), step.number, random);
}

class Script {
 public:
  Step& Add(Kind kind, const std::string& session, uint64_t number = 0) {
    steps_.push_back({.kind = kind, .session = session, .number = number});
    return steps_.back();
  }
  // `sentences` sentences in one entry.
  void Say(const std::string& session, int sentences, bool sync,
           const std::string& source = "") {
    const std::string id = absl::StrCat("r", steps_.size());
    Step& step = Add(Kind::kAppendText, session);
    for (int i = 0; i < sentences; ++i) {
      step.words += absl::StrCat(i == 0 ? "" : " ", "Fact ", id, "x", i, " ",
                                 kCommonWords, ".");
    }
    step.source = source;
    step.sync = sync;
    step.request_id = id;
  }
  void Tell(const std::string& session, uint64_t tokens, bool sync) {
    const std::string id = absl::StrCat("r", steps_.size());
    Step& step = Add(Kind::kAppendTokens, session, tokens);
    step.sync = sync;
    step.request_id = id;
  }
  // Promises nothing: what is lost is sealed again.
  void Seal(const std::string& session) {
    Add(Kind::kSeal, session).sync = false;
  }
  void Forget(const std::string& session, ForgetTarget target) {
    Add(Kind::kForget, session).target = std::move(target);
  }
  void Fork(const std::string& session, const std::string& fork,
            std::optional<uint64_t> at_seq = {}) {
    Step& step = Add(Kind::kFork, session);
    step.fork = fork;
    step.at_seq = at_seq;
  }
  std::vector<Step> Take() { return std::move(steps_); }

 private:
  std::vector<Step> steps_;
};

std::vector<Step> Steps() {
  Script script;
  script.Add(Kind::kCreate, "text");
  script.Add(Kind::kCreate, "rows");
  script.Tell("rows", 100, /*sync=*/true);
  script.Tell("rows", 60, /*sync=*/false);  // Fills a block.
  script.Say("text", 1, true, "old.txt");
  script.Say("text", 2, false);
  script.Say("text", 1, true);
  script.Forget("text", ByEntry(2));
  script.Add(Kind::kCommitWindow, "rows", 10);
  script.Tell("rows", 1, false);
  script.Tell("rows", 1, false);
  script.Tell("rows", 1, true);
  script.Tell("rows", kSealTokens, true);
  script.Seal("rows");
  script.Tell("rows", kSealTokens, false);  // A checkpoint is due.
  script.Seal("rows");
  script.Add(Kind::kCommitWindow, "rows", 3);
  for (int i = 0; i < 6; ++i) {
    script.Say("text", 25, i % 2 == 0, i % 2 == 0 ? "old.txt" : "new.txt");
  }
  script.Forget("text",
                BySource("old.txt"));  // In a full block and in the tail.
  script.Add(Kind::kCreate, "text-soon-gone");
  script.Say("text-soon-gone", 3, true);
  script.Say("text-soon-gone", 3, false);
  script.Add(Kind::kDelete, "text-soon-gone");
  script.Say("text", 1, false);
  script.Say("text", 1, false);
  script.Forget("text", ByEntry(10));  // Was buffered.
  script.Add(Kind::kCreate, "text-soon-gone");
  script.Say("text-soon-gone", 2, true);
  script.Fork("text", "text-fork");
  script.Forget("text", ByEntry(5));       // In the trunk, of one side.
  script.Forget("text-fork", ByEntry(7));  // Of the other.
  script.Say("text", 2, false);
  script.Say("text-fork", 2, true);
  script.Fork("rows", "rows-early", 200);
  script.Tell("rows-early", 90, true);
  script.Forget("rows", SeqRange{.begin = 120, .end = 140});
  script.Forget("rows-early", SeqRange{.begin = 10, .end = 12});
  script.Fork("text-fork", "text-late");  // Of a fork.
  script.Add(Kind::kDelete, "text-fork");
  script.Say("text-late", 1, true);
  script.Add(Kind::kDelete, "rows");
  script.Add(Kind::kCreate, "rows");
  script.Tell("rows", 130, true);
  script.Say("text", 130, true, "big.txt");
  script.Forget("text", BySource("big.txt"));
  script.Say("text", 1, true);
  return script.Take();
}

}  // namespace

const Scenario& TheScenario() {
  static const Scenario scenario = [] {
    Scenario made{.steps = Steps(), .after = {{}}};
    Model model;
    for (const Step& step : made.steps) {
      model.Apply(step);
      made.after.push_back(model.Show());
    }
    return made;
  }();
  return scenario;
}

void Model::Append(const Step& step, Remembered& session) const {
  const Profile profile = ProfileOf(step.session);
  Tokens tokens;
  Shown& log = session.log;
  if (step.kind == Kind::kAppendText) {
    const HashEncoder encoder;
    PreparedText prepared = PrepareText(profile, encoder, Text(step.words));
    tokens = {.count = prepared.rows,
              .keys = prepared.keys,
              .values = prepared.keys,
              .positions = {}};
    session.ranges[session.entry_next] = {log.seq_next,
                                          log.seq_next + prepared.rows};
    log.entries[session.entry_next++] = {step.words, step.source};
  } else {
    tokens = TokensOf(step);
  }
  for (uint64_t i = 0; i < tokens.count; ++i) {
    Tokens one = Cut(profile, tokens, i, i + 1);
    log.tokens[log.seq_next++] = {.position = log.position_next++,
                                  .tier = {},
                                  .keys = std::move(one.keys),
                                  .values = std::move(one.values)};
  }
}

void Model::ForgetEntry(Remembered& session, uint64_t entry) {
  const auto range = session.ranges.find(entry);
  if (range == session.ranges.end()) return;
  for (uint64_t seq = range->second.begin; seq < range->second.end; ++seq) {
    session.log.tokens.erase(seq);
  }
  session.log.entries.erase(entry);
  session.ranges.erase(range);
}

void Model::ForgetChosen(Remembered& session, const Step& step) {
  if (const auto* entry = std::get_if<EntryNumber>(&step.target)) {
    ForgetEntry(session, entry->number);
  } else if (const auto* seqs = std::get_if<SeqRange>(&step.target)) {
    session.log.tokens.erase(session.log.tokens.lower_bound(seqs->begin),
                             session.log.tokens.lower_bound(seqs->end));
  } else if (const auto* filter = std::get_if<RecallFilter>(&step.target)) {
    const auto entries = session.log.entries;
    for (const auto& [number, said] : entries) {
      if (said.source == filter->source) ForgetEntry(session, number);
    }
  }
}

Model::Remembered Model::ForkOf(const Remembered& session, uint64_t at_seq) {
  Remembered fork = session;
  if (at_seq >= session.log.seq_next) return fork;
  fork.log.seq_next = at_seq;
  fork.log.position_next = static_cast<int64_t>(at_seq);  // Without gaps.
  fork.committed_seq = std::min(fork.committed_seq, at_seq);
  fork.log.tokens.erase(fork.log.tokens.lower_bound(at_seq),
                        fork.log.tokens.end());
  return fork;
}

void Model::Apply(const Step& step) {
  if (step.kind == Kind::kCreate) {
    sessions_.try_emplace(step.session);
    return;
  }
  if (step.kind == Kind::kDelete) {
    sessions_.erase(step.session);
    return;
  }
  Remembered& session = sessions_.at(step.session);
  switch (step.kind) {
    case Kind::kAppendText:
    case Kind::kAppendTokens:
      Append(step, session);
      return;
    case Kind::kForget:
      ForgetChosen(session, step);
      return;
    case Kind::kFork: {
      const uint64_t all = session.log.seq_next;
      sessions_.try_emplace(step.fork,
                            ForkOf(session, step.at_seq.value_or(all)));
      return;
    }
    case Kind::kCommitWindow: {
      auto it = session.log.tokens.end();
      for (uint64_t i = 0; i < step.number && it != session.log.tokens.begin();
           ++i) {
        --it;
      }
      session.committed_seq = std::max(
          session.committed_seq,
          it == session.log.tokens.end() ? session.log.seq_next : it->first);
      return;
    }
    case Kind::kSeal:  // Shows in no answer.
    case Kind::kCreate:
    case Kind::kDelete:
      return;
  }
}

ShownByName Model::Show() const {
  ShownByName shown;
  for (const auto& [name, session] : sessions_) {
    Shown& log = shown[name] = session.log;
    uint64_t left = ProfileOf(name).window->tokens;
    for (auto it = log.tokens.rbegin(); it != log.tokens.rend(); ++it) {
      const bool in_window = left > 0 && it->first >= session.committed_seq;
      it->second.tier = in_window ? Tier::kWindow : Tier::kKnn;
      if (left > 0) --left;
    }
  }
  return shown;
}

namespace {

absl::Status ShowTokens(const Session& session, Shown& shown) {
  const Profile& profile = session.header().profile;
  for (uint32_t layer = 0; layer < profile.layers; ++layer) {
    std::optional<uint64_t> next = 0;
    while (next) {
      ASSIGN_OR_RETURN(const TokensResult result,
                       session.ReadTokens({.layer = layer,
                                           .seq_begin = *next,
                                           .limit = 0,
                                           .tiers = {},
                                           .tensors = true}));
      const Tokens tokens{.count = result.seqs.size(),
                          .keys = result.keys,
                          .values = result.values,
                          .positions = {}};
      Profile of_layer = profile;
      of_layer.layers = 1;
      for (size_t i = 0; i < tokens.count; ++i) {
        Shown::Token& token = shown.tokens[result.seqs[i]];
        token.position = result.positions[i];
        token.tier = result.tiers[i];
        const Tokens one = Cut(of_layer, tokens, i, i + 1);
        token.keys += one.keys;
        token.values += one.values;
      }
      next = result.next_seq;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Shown> Show(const Session& session) {
  Shown shown;
  const SessionInfo info = session.Info();
  shown.seq_next = info.seq_next;
  shown.position_next = info.position_next;
  RETURN_IF_ERROR(ShowTokens(session, shown));
  EXPECT_EQ(info.tokens, shown.tokens.size());
  if (session.header().profile.text_encoder.empty()) return shown;
  RecallQuery query = Ask(kCommonWords);
  query.limit = kRecallLimitMax;
  ASSIGN_OR_RETURN(const RecallResult recalled, session.Recall(query, Never));
  // Passages of an entry in their order; one space joined the sentences.
  std::map<std::pair<uint64_t, uint64_t>, const RecalledPassage*> in_order;
  for (const RecalledPassage& passage : recalled.passages) {
    EXPECT_TRUE(
        in_order.emplace(std::pair(passage.entry, passage.span.begin), &passage)
            .second);
  }
  for (const auto& [place, passage] : in_order) {
    Shown::Said& said = shown.entries[place.first];
    said.source = passage->source;
    said.words += (said.words.empty() ? "" : " ") + passage->text;
  }
  EXPECT_EQ(info.entries, shown.entries.size());
  return shown;
}

namespace {

// The softmax over everything the model holds, of a query behind the last
// token, and not compressed.
void ExpectAttends(const Session& session, const Shown& shown,
                   testing::Random& random) {
  const Profile& profile = session.header().profile;
  AttendQuery query = RandomQuery(profile, 1, random);
  query.top_k = 0;
  query.tiers = {Tier::kWindow, Tier::kKnn};
  const auto result = session.Attend(query, Never);
  ASSERT_TRUE(result.ok()) << result.status();
  const LayerOutput& got = result->outputs[0];
  for (uint32_t head = 0; head < profile.query_heads; ++head) {
    const float* const q = &query.reads[0].queries[head * profile.key_dim];
    const size_t bank = head / profile.group_size();
    std::vector<float> logits;
    std::vector<float> values;
    double logit_error = 0;
    for (const auto& [seq, token] : shown.tokens) {
      const auto keys = Widen(profile.dtype, token.keys);
      const float* const key = &keys[bank * profile.key_dim];
      logits.push_back(static_cast<float>(
          profile.logit_scale * reference::Dot(q, key, profile.key_dim)));
      logit_error = std::max(
          logit_error,
          kFloatUnit *
              ((profile.key_dim + 4) * profile.logit_scale *
                   reference::DotOfMagnitudes(q, key, profile.key_dim) +
               std::abs(logits.back())));
      const auto all = Widen(profile.dtype, token.values);
      values.insert(values.end(), all.begin() + bank * profile.value_dim,
                    all.begin() + (bank + 1) * profile.value_dim);
    }
    const reference::Attended expected = reference::Attend(
        logits.data(), values.data(), logits.size(), profile.value_dim);
    for (size_t i = 0; i < profile.value_dim && !logits.empty(); ++i) {
      EXPECT_NEAR(got.output[head * profile.value_dim + i], expected.out[i],
                  2 * (2 * logit_error + (128 + 24) * kFloatUnit) *
                      expected.magnitude[i])
          << session.header().name.ToString();
    }
  }
}

}  // namespace

void Machine::Kill() { memory_.reset(); }

absl::Status Machine::Start() {
  Kill();
  ASSIGN_OR_RETURN(std::unique_ptr<Store> store, open_store_());
  ASSIGN_OR_RETURN(memory_, Memory::Open(std::move(store), &clock_));
  return absl::OkStatus();
}

absl::Status Machine::Do(const Step& step) {
  const SessionName name{.space = "test", .session = step.session};
  absl::Status done;
  if (step.kind == Kind::kCreate) {
    done = memory_->Create(name, ProfileOf(step.session)).status();
    return absl::IsAlreadyExists(done) ? absl::OkStatus() : done;
  }
  if (step.kind == Kind::kDelete) {
    done = memory_->Delete(name).status();
    return absl::IsNotFound(done) ? absl::OkStatus() : done;
  }
  if (step.kind == Kind::kForget) {
    done = memory_->Forget(name, step.target, /*dry_run=*/false).status();
    return absl::IsNotFound(done) ? absl::OkStatus() : done;
  }
  if (step.kind == Kind::kFork) {
    const SessionName fork{.space = "test", .session = step.fork};
    done = memory_->Fork(name, fork, step.at_seq, std::nullopt);
    return absl::IsAlreadyExists(done) ? absl::OkStatus() : done;
  }
  ASSIGN_OR_RETURN(const std::shared_ptr<Session> session, memory_->Find(name));
  return Mutate(*session, step);
}

absl::Status Machine::Mutate(Session& session, const Step& step) {
  AppendOptions options = WithId(step.request_id);
  options.sync = step.sync;
  switch (step.kind) {
    case Kind::kAppendText: {
      TextEntry entry = Text(step.words);
      entry.source = step.source;
      return session.AppendText(entry, options).status();
    }
    case Kind::kAppendTokens:
      return session.AppendTokens(TokensOf(step).Rows(), options).status();
    case Kind::kCommitWindow:
      return session.CommitWindow(step.number).status();
    case Kind::kSeal:
      return session.SealOne().status();
    case Kind::kCreate:
    case Kind::kDelete:
    case Kind::kForget:
    case Kind::kFork:
      break;
  }
  return absl::OkStatus();
}

absl::StatusOr<ShownByName> Machine::Show() {
  ShownByName shown;
  for (const SessionName& name : memory_->List("test", "", 100)) {
    ASSIGN_OR_RETURN(const std::shared_ptr<Session> session,
                     memory_->Find(name));
    ASSIGN_OR_RETURN(shown[name.session], memory::Show(*session));
  }
  return shown;
}

void Machine::ExpectSoundAnswers(const ShownByName& expected) {
  testing::Random random(testing::Seed());
  for (const auto& [name, shown] : expected) {
    SCOPED_TRACE(name);
    const auto session = memory_->Find({.space = "test", .session = name});
    ASSERT_TRUE(session.ok()) << session.status();
    ExpectSound(**session);
    ExpectAttends(**session, shown, random);
  }
}

void Trial::ExpectRefusal(const absl::Status& failure, size_t number) {
  EXPECT_TRUE(absl::IsUnavailable(failure) ||
              absl::IsResourceExhausted(failure))
      << failure;
  // Reads go on, and show nothing of it; nothing more is written.
  const auto shown = machine_.Show();
  ASSERT_TRUE(shown.ok()) << shown.status();
  ASSERT_EQ(*shown, scenario_.after[number]);
  const Step more{.kind = Kind::kCreate, .session = "text-refused"};
  ASSERT_EQ(ReasonOf(machine_.Do(more)), "STORE_FAILED");
}

void Trial::Recover(size_t& number, bool in_doubt) {
  ++crashes_;
  options_.restart();
  const auto there = machine_.Show();
  ASSERT_TRUE(there.ok()) << there.status();
  reached_ = std::max(reached_, number + (in_doubt ? 1 : 0));
  size_t kept = reached_;
  while (kept > 0 && *there != scenario_.after[kept]) --kept;
  ASSERT_TRUE(*there == scenario_.after[kept]) << "half of something is there";
  size_t promised = number;
  while (options_.loses_unsynced && promised > 0 &&
         !scenario_.steps[promised - 1].sync) {
    --promised;
  }
  ASSERT_GE(kept, promised) << "an acknowledged step is gone";
  machine_.ExpectSoundAnswers(scenario_.after[kept]);
  // The caller repeats what it cannot be sure of: the step that failed, and
  // unless that is there, all that may be gone with it.
  if (kept <= number) number = promised;
  reached_ = kept;
}

void Trial::Run() {
  const size_t count = scenario_.steps.size();
  for (size_t number = 0; number < count;) {
    SCOPED_TRACE(absl::StrCat("step ", number));
    const bool pulled = options_.crash_before && options_.crash_before(number);
    absl::Status done;
    if (!pulled) {
      done = machine_.Do(scenario_.steps[number]);
      if (!done.ok()) ExpectRefusal(done, number);
    }
    if (::testing::Test::HasFailure()) return;
    if (pulled || !done.ok()) {
      Recover(number, /*in_doubt=*/!pulled);
    } else {
      ++number;
    }
    if (::testing::Test::HasFailure()) return;
  }
  const auto there = machine_.Show();
  ASSERT_TRUE(there.ok()) << there.status();
  ASSERT_TRUE(*there == scenario_.after[count]);
  machine_.ExpectSoundAnswers(scenario_.after[count]);
}

}  // namespace mneme::memory
