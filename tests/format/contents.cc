#include "tests/format/contents.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "memory/segments.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {
namespace {

using nlohmann::json;
using testing::Random;

// Never to be changed: the kept answers were given to these.
constexpr uint64_t kSeed = 20261120;
constexpr double kTolerance = 1e-4;
const std::vector<std::string>& Questions() {
  static const std::vector<std::string> questions = {
      "Where does the heron sleep?", "who counts the lanterns",
      "What did entry 11 say?"};
  return questions;
}

Profile RowsProfile(attention::DType dtype) {
  Profile profile;
  profile.name = "kept";
  profile.layers = 1;
  profile.query_heads = 2;
  profile.kv_heads = 1;
  profile.key_dim = 2;
  profile.value_dim = 2;
  profile.dtype = dtype;
  profile.sink = SinkTier{.tokens = 2};
  profile.window = WindowTier{.tokens = 40};
  profile.knn =
      KnnTier{.top_k = 8, .positions = {.policy = PositionPolicy::kNone}};
  profile.compressive =
      CompressiveTier{.segment_tokens = 16, .gate_logits = {-1.0F}};
  return Complete(profile).value();
}

void FillText(Memory& memory) {
  Profile profile = ProfileByName("text").value();
  profile.compressive.reset();  // Its state would be larger than all the rest.
  auto session = memory
                     .Create({.space = "kept", .session = "text"},
                             Complete(profile).value())
                     .value();
  const std::vector<std::string> facts = {
      "The heron sleeps in the mill by the grey river",
      "Old Marta counts the lanterns every evening",
      "Nobody has seen the third key since winter",
      "The ferry leaves when the bell has rung twice"};
  for (int i = 0; i < 20; ++i) {
    const std::string text =
        absl::StrCat(facts[i % 4], ". This was entry ", i + 1, ".");
    TextEntry entry = Text(text);
    entry.role = i % 2 == 0 ? "user" : "assistant";
    entry.time_us = 1'000'000 * i;
    entry.source = absl::StrCat("chat", i % 3);
    entry.source_offset = 10 * i;
    entry.metadata = {{"turn", absl::StrCat(i)}};
    const auto said =
        session->AppendText(entry, WithId(absl::StrCat("request", i)));
    EXPECT_TRUE(said.ok()) << said.status();
  }
  EXPECT_TRUE(session->Forget(ByEntry(3)).ok());
  EXPECT_TRUE(session->Forget(BySource("chat2")).ok());
}

void FillRows(Memory& memory) {
  Random random(kSeed);
  auto sealed = memory
                    .Create({.space = "kept", .session = "sealed"},
                            RowsProfile(attention::DType::kF16))
                    .value();
  for (const uint64_t count : {kSealTokens, kSealTokens + 150, uint64_t{1}}) {
    const Tokens tokens = RandomTokens(sealed->header().profile, count, random);
    EXPECT_TRUE(sealed->AppendTokens(tokens.Rows(), {}).ok());
  }
  while (sealed->SealOne().value()) {
  }
  auto small = memory
                   .Create({.space = "kept", .session = "small"},
                           RowsProfile(attention::DType::kF32))
                   .value();
  Tokens gaps = RandomTokens(small->header().profile, 70, random);
  for (int64_t i = 0; i < 70; ++i) gaps.positions.push_back(i * i);
  EXPECT_TRUE(small->AppendTokens(gaps.Rows(), WithId("gaps")).ok());
  EXPECT_TRUE(small->CommitWindow(9).ok());
}

void FillForks(Memory& memory) {
  const SessionName text{.space = "kept", .session = "text"};
  const SessionName fork{.space = "kept", .session = "text-fork"};
  EXPECT_TRUE(memory.Fork(text, fork, std::nullopt, std::nullopt).ok());
  const SessionName rows{.space = "kept", .session = "small"};
  const SessionName early{.space = "kept", .session = "small-early"};
  EXPECT_TRUE(memory.Fork(rows, early, 30, std::nullopt).ok());
  // Each side goes its own way; the operations are kept too.
  EXPECT_TRUE(memory.Forget(fork, ByEntry(1), /*dry_run=*/false).ok());
  EXPECT_TRUE(
      memory.Forget(rows, SeqRange{.begin = 5, .end = 9}, /*dry_run=*/false)
          .ok());
  TextEntry entry = Text("The fork alone heard of the comet.");
  entry.time_us = 1;
  entry.metadata = {{"turn", "fork"}};
  EXPECT_TRUE(memory.Find(fork).value()->AppendText(entry, {}).ok());
}

json TokensOf(const Session& session) {
  TokensQuery query;
  query.tensors = true;
  const TokensResult read = session.ReadTokens(query).value();
  json tokens = {{"seqs", read.seqs.size()}, {"complete", !read.next_seq}};
  // A hash that needs no library: FNV-1a of rows, seqs and positions.
  uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&](const void* bytes, size_t size) {
    for (size_t i = 0; i < size; ++i) {
      hash = (hash ^ static_cast<const uint8_t*>(bytes)[i]) * 0x100000001b3;
    }
  };
  add(read.keys.data(), read.keys.size());
  add(read.values.data(), read.values.size());
  add(read.seqs.data(), read.seqs.size() * sizeof(uint64_t));
  add(read.positions.data(), read.positions.size() * sizeof(int64_t));
  tokens["hash"] = absl::StrCat(absl::Hex(hash));
  return tokens;
}

json RecallOf(const Session& session, const std::string& question) {
  const RecallResult result = session.Recall(Ask(question), Never).value();
  json passages = json::array();
  for (const RecalledPassage& passage : result.passages) {
    passages.push_back({{"entry", passage.entry},
                        {"text", passage.text},
                        {"source", passage.source},
                        {"begin", passage.source_span.begin},
                        {"role", passage.role},
                        {"time", passage.time_us},
                        {"turn", passage.metadata.at("turn")}});
  }
  return passages;
}

json SessionOf(const Session& session) {
  const SessionInfo info = session.Info();
  const Profile& profile = session.header().profile;
  json answers = {
      {"seq_next", info.seq_next}, {"position_next", info.position_next},
      {"tokens", info.tokens},     {"entries", info.entries},
      {"profile", profile.name},   {"rows", TokensOf(session)}};
  Random random(kSeed);
  const AttendResult attended =
      session.Attend(RandomQuery(profile, 2, random), Never).value();
  answers["attend"] = attended.outputs[0].output;
  if (profile.compressive) {
    const CompressiveRead state = session.CompressiveState(0).value();
    answers["absorbed_seq"] = state.absorbed_seq;
    answers["normalizer"] = state.normalizer;
  }
  if (profile.text_encoder.empty()) return answers;
  for (const std::string& question : Questions()) {
    answers["recall"][question] = RecallOf(session, question);
  }
  return answers;
}

}  // namespace

void FillWithEverything(Memory& memory) {
  FillText(memory);
  FillRows(memory);
  FillForks(memory);
}

nlohmann::json AnswersOf(Memory& memory) {
  json answers;
  for (const SessionName& name : memory.List("kept", "", 100)) {
    const auto session = memory.Find(name);
    EXPECT_TRUE(session.ok()) << session.status();
    if (!session.ok()) continue;
    ExpectSound(**session);
    answers[name.session] = SessionOf(**session);
  }
  return answers;
}

std::string DifferenceOf(const json& got, const json& expected) {
  if (expected.is_number_float() && got.is_number()) {
    const double x = expected.get<double>();
    const double off = std::abs(got.get<double>() - x);
    if (off <= kTolerance * (1 + std::abs(x))) return "";
  } else if (expected.is_structured() && got.type() == expected.type() &&
             got.size() == expected.size()) {
    for (const auto& item : expected.items()) {
      const bool there = expected.is_array() || got.contains(item.key());
      const json& mine = !there                ? json()
                         : expected.is_array() ? got[std::stoul(item.key())]
                                               : got[item.key()];
      const std::string difference = DifferenceOf(mine, item.value());
      if (!difference.empty()) return item.key() + ": " + difference;
    }
    return "";
  } else if (got == expected) {
    return "";
  }
  return "got " + got.dump().substr(0, 300) + "; expected " +
         expected.dump().substr(0, 300);
}

}  // namespace mneme::memory
