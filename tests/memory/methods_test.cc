// Published methods as sessions: what a preset promises whatever a client does
// between its reads.

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "gtest/gtest.h"
#include "memory/presets.h"
#include "tests/memory/fixture.h"
#include "tests/memory/small_presets.h"
#include "tests/reference/performer.h"
#include "tests/reference/rope.h"

namespace mneme::memory {
namespace {

using testing::Random;
using testing::Seed;

TEST(Methods, EveryPresetCompletes) {
  for (const Preset& preset : Presets()) {
    EXPECT_TRUE(Complete(preset.profile).ok()) << preset.profile.name;
    EXPECT_FALSE(preset.summary.empty());
    EXPECT_FALSE(preset.source.empty());
  }
  EXPECT_TRUE(std::is_sorted(Presets().begin(), Presets().end(),
                             [](const Preset& a, const Preset& b) {
                               return a.profile.name < b.profile.name;
                             }));
}

TEST(Methods, AnUnknownPresetIsRefusedWithAllNames) {
  const auto unknown = ProfileByName("longlama");
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(unknown.status()), "PROFILE_NOT_FOUND");
  for (const Preset& preset : Presets()) {
    EXPECT_NE(unknown.status().message().find(preset.profile.name),
              std::string::npos);
  }
}

TEST(Methods, ReopeningChangesNoBitOfAnyPresetsAnswer) {
  Random random(Seed());
  for (const Profile& profile : SmallPresets()) {
    SCOPED_TRACE(profile.name);
    House house;
    auto session = house.Create("s", profile);
    for (int round = 0; round < 6; ++round) {
      for (int i = random.Int(1, 5); i > 0; --i) {
        const Tokens tokens = RandomTokens(profile, random.Int(1, 40), random);
        ASSERT_TRUE(session->AppendTokens(tokens.Rows(), {}).ok());
        if (random.Int(0, 3) == 0 && profile.window &&
            profile.window->commit != CommitPolicy::kSegment) {
          ASSERT_TRUE(session->CommitWindow(random.Int(0, 10)).ok());
        }
      }
      const AttendQuery query = RandomQuery(profile, 2, random);
      const AttendResult before = session->Attend(query, Never).value();
      session = house.Reopened("s");
      ExpectSameAnswer(session->Attend(query, Never).value(), before);
      ExpectSound(*session);
    }
  }
}

TEST(Methods, TheCutIntoAppendsChangesNoStateOfATokenWindow) {
  Random random(Seed());
  for (Profile profile : SmallPresets()) {
    if (!profile.compressive) continue;
    SCOPED_TRACE(profile.name);
    House house;
    const Tokens tokens = RandomTokens(profile, 200, random);
    auto whole = house.Create("whole", profile);
    auto cut = house.Create("cut", profile);
    ASSERT_TRUE(whole->AppendTokens(tokens.Rows(), {}).ok());
    for (uint64_t first = 0; first < 200;) {
      const uint64_t end = std::min<uint64_t>(200, first + random.Int(1, 30));
      const Tokens part = Cut(profile, tokens, first, end);
      ASSERT_TRUE(cut->AppendTokens(part.Rows(), {}).ok());
      first = end;
    }
    const auto a = whole->CompressiveState(0).value();
    const auto b = cut->CompressiveState(0).value();
    EXPECT_EQ(a.matrix, b.matrix);
    EXPECT_EQ(a.normalizer, b.normalizer);
  }
}

TEST(Methods, LinearStateForgetsWhereSegmentsEndAndDeltaDoesNot) {
  Random random(Seed());
  Profile profile = SmallProfile();
  profile.window.reset();
  House house;
  const Tokens tokens = RandomTokens(profile, 192, random);
  for (const UpdateRule rule : {UpdateRule::kLinear, UpdateRule::kDelta}) {
    profile.compressive->update = rule;
    std::vector<CompressiveRead> states;
    for (const uint32_t segment : {16, 32}) {
      profile.compressive->segment_tokens = segment;
      auto session = house.Create("s" + std::to_string(segment) +
                                      (rule == UpdateRule::kDelta ? "d" : "l"),
                                  profile);
      ASSERT_TRUE(session->AppendTokens(tokens.Rows(), {}).ok());
      states.push_back(session->CompressiveState(0).value());
      ASSERT_EQ(states.back().absorbed_seq, 192u);
    }
    double worst = 0;
    for (size_t i = 0; i < states[0].matrix.size(); ++i) {
      worst = std::max(
          worst, std::abs(double{states[0].matrix[i]} - states[1].matrix[i]));
    }
    // Sums of 192 numbers of size 1, against corrections of their own size.
    if (rule == UpdateRule::kLinear) {
      EXPECT_LT(worst, 1e-4);
    } else {
      EXPECT_GT(worst, 1e-1);
    }
  }
}

TEST(Methods, PerformerStateReadsWhatItsFormulaSays) {
  Random random(Seed());
  for (const auto kernel : {attention::PerformerKernel::kSoftmax,
                            attention::PerformerKernel::kRelu}) {
    Profile profile = SmallProfile();
    profile.window.reset();
    profile.knn.reset();
    profile.sink.reset();
    profile.compressive->segment_tokens = 10;
    profile.compressive->performer =
        PerformerTier{.count = 24, .seed = 11, .kernel = kernel};
    profile = Complete(profile).value();
    House house;
    auto session = house.Create("s", profile);
    const Tokens tokens = RandomTokens(profile, 60, random);
    ASSERT_TRUE(session->AppendTokens(tokens.Rows(), {}).ok());
    AttendQuery query = RandomQuery(profile, 1, random);
    for (LayerRead& read : query.reads) {
      read.compressive_gates.assign(profile.query_heads, 1);
    }
    const AttendResult result = session->Attend(query, Never).value();
    const std::vector<float> keys = Widen(profile.dtype, tokens.keys);
    const std::vector<float> values = Widen(profile.dtype, tokens.values);
    for (uint32_t layer = 0; layer < profile.layers; ++layer) {
      const CompressiveRead state = session->CompressiveState(layer).value();
      ASSERT_TRUE(state.performer.has_value());
      const bool relu = kernel == attention::PerformerKernel::kRelu;
      const reference::Favor favor{relu, 24, profile.key_dim,
                                   state.performer->projection,
                                   relu ? 1e-3 : 1e-4};
      for (uint32_t head = 0; head < profile.query_heads; ++head) {
        const size_t bank =
            layer * profile.kv_heads + head / profile.group_size();
        const float* const k = &keys[bank * 60 * profile.key_dim];
        const float* const v = &values[bank * 60 * profile.value_dim];
        const auto expected = reference::FavorRead(
            favor, &query.reads[layer].queries[head * profile.key_dim], k, v,
            60, profile.value_dim, reference::FavorStabilizer(favor, k, 60), 0);
        for (uint32_t i = 0; i < profile.value_dim; ++i) {
          EXPECT_NEAR(
              result.outputs[layer].output[head * profile.value_dim + i],
              expected[i], 2e-4 * (1 + std::abs(expected[i])));
        }
      }
    }
  }
}

TEST(Methods, GatesOfZeroAndOneAreThePureTiers) {
  Random random(Seed());
  Profile profile = SmallProfile();
  profile.knn->gate_logits = {0};
  profile = Complete(profile).value();
  House house;
  auto session = house.Create("s", profile);
  ASSERT_TRUE(
      session->AppendTokens(RandomTokens(profile, 200, random).Rows(), {})
          .ok());
  const AttendQuery plain = RandomQuery(profile, 2, random);
  const auto with = [&](std::vector<Tier> tiers, std::optional<float> knn,
                        std::optional<float> compressive) {
    AttendQuery query = plain;
    query.tiers = std::move(tiers);
    for (LayerRead& read : query.reads) {
      if (knn) read.knn_gates.assign(profile.query_heads * 2, *knn);
      if (compressive) {
        read.compressive_gates.assign(profile.query_heads * 2, *compressive);
      }
    }
    return session->Attend(query, Never).value();
  };
  const std::vector<Tier> softmax = {Tier::kSink, Tier::kWindow, Tier::kKnn};
  const AttendResult local = with({Tier::kSink, Tier::kWindow}, {}, {});
  const AttendResult knn = with({Tier::kKnn}, {}, {});
  const AttendResult state = with({Tier::kCompressive}, {}, 1);
  const AttendResult knn_open = with(softmax, 1, {});
  const AttendResult knn_shut = with(softmax, 0, {});
  const AttendResult state_open = with({}, {}, 1);
  for (size_t l = 0; l < plain.reads.size(); ++l) {
    EXPECT_EQ(knn_shut.outputs[l].output, local.outputs[l].output);
    EXPECT_EQ(knn_open.outputs[l].output, knn.outputs[l].output);
    EXPECT_EQ(state_open.outputs[l].output, state.outputs[l].output);
    // Asked alone, a gated tier can still be merged; mixed in, it cannot.
    EXPECT_FALSE(knn.outputs[l].gated);
    EXPECT_TRUE(knn_open.outputs[l].gated);
    const auto& shares = knn_open.outputs[l].shares;
    EXPECT_EQ(shares[static_cast<size_t>(Tier::kKnn)], 1);
  }
}

TEST(Methods, GatesThatDoNotFitAreRefusedByField) {
  Random random(Seed());
  Profile profile = SmallProfile();
  House house;
  auto session = house.Create("s", profile);
  AttendQuery query = RandomQuery(profile, 1, random);
  query.reads[0].knn_gates.assign(profile.query_heads, 0.5F);
  EXPECT_EQ(FieldOf(session->Attend(query, Never).status()), "reads.knn_gates");
  query = RandomQuery(profile, 1, random);
  query.reads[0].compressive_gates = {1};
  EXPECT_EQ(FieldOf(session->Attend(query, Never).status()),
            "reads.compressive_gates");
  query.reads[0].compressive_gates.assign(profile.query_heads, 1.5F);
  EXPECT_EQ(FieldOf(session->Attend(query, Never).status()),
            "reads.compressive_gates");
}

// Relative encodings know distances only; the sums are rounded elsewhere.
TEST(Methods, AConstantAddedToAllPositionsChangesNothing) {
  using attention::PositionFamily;
  Random random(Seed());
  for (const PositionFamily family :
       {PositionFamily::kRope, PositionFamily::kYarn, PositionFamily::kLinear,
        PositionFamily::kNtkAware, PositionFamily::kLlama3,
        PositionFamily::kXpos, PositionFamily::kAlibi,
        PositionFamily::kRelativeBias}) {
    Profile profile = SmallProfile();
    profile.compressive.reset();
    profile.dtype = attention::DType::kF32;
    profile.position.family = family;
    profile.position.yarn = {.factor = 4, .original_length = 64};
    profile.position.llama3 = {.factor = 4, .original_length = 64};
    profile.position.linear.factor = 4;
    profile.position.ntk_aware.alpha = 4;
    profile.position.relative_bias.biases = random.Normals(4 * 50);
    profile.knn->positions.policy = PositionPolicy::kAbsolute;
    profile.knn->top_k = 0;
    profile = Complete(profile).value();
    House house;
    const Tokens tokens = RandomTokens(profile, 150, random);
    const AttendQuery asked = RandomQuery(profile, 2, random);
    std::vector<AttendResult> results;
    for (const int64_t offset : {int64_t{0}, int64_t{1} << 40}) {
      auto session =
          house.Create("s" + std::to_string(static_cast<int>(family)) + "-" +
                           std::to_string(results.size()),
                       profile);
      Tokens moved = tokens;
      moved.positions.resize(150);
      std::iota(moved.positions.begin(), moved.positions.end(), offset);
      ASSERT_TRUE(session->AppendTokens(moved.Rows(), {}).ok());
      AttendQuery query = asked;
      for (LayerRead& read : query.reads) {
        read.positions = {offset + 149, offset + 160};
      }
      results.push_back(session->Attend(query, Never).value());
    }
    for (size_t l = 0; l < asked.reads.size(); ++l) {
      for (size_t i = 0; i < results[0].outputs[l].output.size(); ++i) {
        ASSERT_NEAR(results[0].outputs[l].output[i],
                    results[1].outputs[l].output[i], 1e-5)
            << "family " << static_cast<int>(family);
      }
    }
  }
}

TEST(Methods, RowsTooFarApartForXposAreRefused) {
  Random random(Seed());
  Profile profile = SmallProfile();
  profile.compressive.reset();
  profile.position.family = attention::PositionFamily::kXpos;
  profile = Complete(profile).value();
  House house;
  auto session = house.Create("s", profile);
  ASSERT_TRUE(
      session->AppendTokens(RandomTokens(profile, 100, random).Rows(), {})
          .ok());
  AttendQuery query = RandomQuery(profile, 2, random);
  query.reads.resize(1);
  query.reads[0].positions = {100, 100 + 26156};
  EXPECT_TRUE(session->Attend(query, Never).ok());
  query.reads[0].positions = {100, 101 + 26156};
  EXPECT_EQ(FieldOf(session->Attend(query, Never).status()), "reads.positions");
}

TEST(Methods, ACommitMovesTheWindowDurably) {
  Random random(Seed());
  Profile profile = SmallProfile();  // A window of 40, segments of 16.
  House house;
  auto session = house.Create("s", profile);
  ASSERT_TRUE(
      session->AppendTokens(RandomTokens(profile, 50, random).Rows(), {}).ok());
  const CommitResult kept = session->CommitWindow(30).value();
  EXPECT_EQ(kept.committed_tokens, 10u);
  EXPECT_EQ(kept.window_tokens, 30u);
  EXPECT_EQ(kept.knn_tokens, 50u - 30 - 3);
  EXPECT_EQ(session->CompressiveState(0)->absorbed_seq, 16u);
  // Keeping more than there is moves nothing back.
  const CommitResult none = session->CommitWindow(35).value();
  EXPECT_EQ(none.committed_tokens, 0u);
  EXPECT_EQ(none.window_tokens, 30u);
  const CommitResult all = session->CommitWindow(0).value();
  EXPECT_EQ(all.committed_tokens, 30u);
  EXPECT_EQ(all.knn_tokens, 47u);
  EXPECT_EQ(session->CompressiveState(0)->absorbed_seq, 48u);
  session = house.Reopened("s");
  EXPECT_EQ(session->Counts().window_tokens, 0u);
  ASSERT_TRUE(
      session->AppendTokens(RandomTokens(profile, 7, random).Rows(), {}).ok());
  EXPECT_EQ(session->Counts().window_tokens, 7u);
  ExpectSound(*session);
}

TEST(Methods, ACommitCanDemandWhereTheLogEnds) {
  Random random(Seed());
  const Profile profile = SmallProfile();
  House house;
  auto session = house.Create("s", profile);
  ASSERT_TRUE(
      session->AppendTokens(RandomTokens(profile, 50, random).Rows(), {}).ok());
  EXPECT_EQ(ReasonOf(session->CommitWindow(0, 49).status()), "SEQ_MISMATCH");
  EXPECT_EQ(session->Counts().window_tokens, 40u);
  EXPECT_TRUE(session->CommitWindow(0, 50).ok());
}

TEST(Methods, ACommitNeverCutsAChunkFromItsLandmark) {
  Random random(Seed());
  Profile profile = SmallProfile();
  profile.compressive.reset();
  profile.sink.reset();
  profile.window = WindowTier{
      .tokens = 2, .commit = CommitPolicy::kBlock, .block_tokens = 4};
  profile.knn =
      KnnTier{.chunk_tokens = 4, .chunk_score = ChunkScore::kLandmark};
  profile = Complete(profile).value();
  House house;
  auto session = house.Create("s", profile);
  ASSERT_TRUE(
      session->AppendTokens(RandomTokens(profile, 10, random).Rows(), {}).ok());
  const CommitResult committed = session->CommitWindow(1).value();
  EXPECT_EQ(committed.window_tokens, 2u);
  AttendQuery query = RandomQuery(profile, 1, random);
  query.top_items = 20;
  std::set<uint64_t> seen;
  const AttendResult result = session->Attend(query, Never).value();
  for (const AttendedItem& item : result.outputs[0].items) {
    seen.insert(item.seq);
  }
  EXPECT_EQ(seen, (std::set<uint64_t>{0, 1, 2, 4, 5, 6, 8, 9}));
}

// Bypassed, what is empty leaves the other as it is, whichever it is.
TEST(Methods, AMemoryWithoutALocalSidePassesUnchanged) {
  Random random(Seed());
  Profile profile = SmallProfile();
  profile.sink.reset();
  profile.compressive.reset();
  profile.knn->gate_logits = {0};
  House house;
  for (const auto empty :
       {attention::EmptyMemory::kBypass, attention::EmptyMemory::kStrict}) {
    profile.knn->empty_memory = empty;
    const bool bypass = empty == attention::EmptyMemory::kBypass;
    auto session = house.Create(bypass ? "bypass" : "strict", profile);
    ASSERT_TRUE(
        session->AppendTokens(RandomTokens(profile, 20, random).Rows(), {})
            .ok());
    ASSERT_TRUE(session->CommitWindow(0).ok());
    AttendQuery query = RandomQuery(profile, 1, random);
    const AttendResult mixed = session->Attend(query, Never).value();
    query.tiers = {Tier::kKnn};
    const AttendResult alone = session->Attend(query, Never).value();
    for (size_t i = 0; i < mixed.outputs[0].output.size(); ++i) {
      EXPECT_FLOAT_EQ(mixed.outputs[0].output[i],
                      (bypass ? 1 : 0.5F) * alone.outputs[0].output[i]);
    }
    EXPECT_EQ(mixed.outputs[0].shares[static_cast<size_t>(Tier::kKnn)], 1);
  }
}

// Weights are exponentials of differences of sums of logits, which floats of
// this size no longer hold.
TEST(Methods, TiersMergeExactlyHoweverLargeTheirLogits) {
  Profile profile = SmallProfile();
  profile.compressive.reset();
  profile.layers = 1;
  profile.window = WindowTier{.tokens = 4};
  profile.sink = SinkTier{.tokens = 2};
  profile.knn = KnnTier{};
  profile.logit_scale = 1e6;
  profile = Complete(profile).value();
  House house;
  auto session = house.Create("s", profile);
  Random random(Seed());
  Tokens tokens = RandomTokens(profile, 12, random);
  tokens.keys = Narrow(profile.dtype, std::vector<float>(2 * 12 * 8, 1));
  ASSERT_TRUE(session->AppendTokens(tokens.Rows(), {}).ok());
  AttendQuery query = RandomQuery(profile, 1, random);
  std::fill(query.reads[0].queries.begin(), query.reads[0].queries.end(), 1);
  const AttendResult result = session->Attend(query, Never).value();
  const std::vector<float> values = Widen(profile.dtype, tokens.values);
  for (size_t i = 0; i < 6; ++i) {
    double mean = 0;
    for (size_t seq = 0; seq < 12; ++seq) mean += values[seq * 6 + i] / 12;
    EXPECT_NEAR(result.outputs[0].output[i], mean, 1e-6);
  }
  const TierShares& shares = result.outputs[0].shares;
  EXPECT_NEAR(shares[static_cast<size_t>(Tier::kSink)], 2.0 / 12, 1e-9);
  EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1, 1e-9);
  ExpectSound(*session);
}

TEST(Methods, WhatOverflowsIsRefusedAndNeverAnswered) {
  Random random(Seed());
  Profile profile = SmallProfile();
  profile.knn->dtype = attention::DType::kF16;
  House house;
  auto session = house.Create("s", profile);
  Tokens tokens = RandomTokens(profile, 60, random);
  const Tokens sound = tokens;
  std::vector<float> keys = Widen(profile.dtype, tokens.keys);
  keys[7] = 1e5F;  // Of float32, and not of the kNN tier's float16.
  tokens.keys = Narrow(profile.dtype, keys);
  EXPECT_EQ(FieldOf(session->AppendTokens(tokens.Rows(), {}).status()),
            "tokens.keys");
  profile.knn = KnnTier{.top_k = 2, .scope = SelectionScope::kKvGroup};
  auto group = house.Create("group", profile);
  keys[10 * 8] = 3e38F;  // Of a token that has left the window.
  tokens.keys = Narrow(profile.dtype, keys);
  ASSERT_TRUE(group->AppendTokens(tokens.Rows(), {}).ok());
  AttendQuery query = RandomQuery(profile, 1, random);
  query.tiers = {Tier::kKnn};
  for (LayerRead& read : query.reads) {
    for (float& x : read.queries) x = 100;
  }
  EXPECT_EQ(ReasonOf(group->Attend(query, Never).status()), "LOGIT_OVERFLOW");
  profile.knn = KnnTier{};
  auto large = house.Create("large", profile);
  tokens = sound;
  tokens.keys = Narrow(profile.dtype, std::vector<float>(keys.size(), 0));
  tokens.values = Narrow(
      profile.dtype,
      std::vector<float>(profile.bank_count() * 60 * profile.value_dim, 3e38F));
  ASSERT_TRUE(large->AppendTokens(tokens.Rows(), {}).ok());
  query.tiers = {Tier::kWindow};
  EXPECT_EQ(ReasonOf(large->Attend(query, Never).status()), "LOGIT_OVERFLOW");
}

TEST(Methods, AWindowOfSegmentsOrNoneCannotBeCommitted) {
  Profile profile = SmallProfile();
  House house;
  profile.window = WindowTier{.commit = CommitPolicy::kSegment};
  auto segments = house.Create("segments", profile);
  EXPECT_EQ(ReasonOf(segments->CommitWindow(0).status()),
            "WINDOW_NOT_COMMITTABLE");
  profile.window.reset();
  auto without = house.Create("without", profile);
  EXPECT_EQ(ReasonOf(without->CommitWindow(0).status()),
            "WINDOW_NOT_COMMITTABLE");
}

// 131,072 tokens in three tiers, against one softmax in double.
TEST(Methods, WindowAndKnnReadWholeAreFullAttentionWithYarnAt128K) {
  constexpr uint64_t kCount = 131072;
  Random random(Seed());
  Profile profile;
  profile.layers = 1;
  profile.query_heads = 2;
  profile.kv_heads = 1;
  profile.key_dim = 32;
  profile.value_dim = 8;
  profile.dtype = attention::DType::kF32;
  profile.position.family = attention::PositionFamily::kYarn;
  profile.position.yarn = {.factor = 32, .original_length = 4096};
  profile.sink = SinkTier{.tokens = 4};
  profile.window = WindowTier{.tokens = 4096};
  profile.knn = KnnTier{};
  profile = Complete(profile).value();
  House house;
  auto session = house.Create("s", profile);
  const Tokens tokens = RandomTokens(profile, kCount, random);
  for (uint64_t first = 0; first < kCount; first += 16384) {
    const Tokens part = Cut(profile, tokens, first, first + 16384);
    ASSERT_TRUE(session->AppendTokens(part.Rows(), {}).ok());
  }
  AttendQuery query = RandomQuery(profile, 1, random);
  for (float& x : query.reads[0].queries) x *= 2;  // Peaked, as heads are.
  const AttendResult result = session->Attend(query, Never).value();
  const auto frequencies = reference::YarnFrequencies(
      10000, 32, 32, 4096, /*beta_fast=*/32, /*beta_slow=*/1);
  const double m = 0.1 * std::log(32.0) + 1;
  const std::vector<float> keys = Widen(profile.dtype, tokens.keys);
  const std::vector<float> values = Widen(profile.dtype, tokens.values);
  std::vector<std::vector<double>> queries;
  for (size_t head = 0; head < 2; ++head) {
    const auto first = query.reads[0].queries.begin() + head * 32;
    queries.push_back(reference::Rotate(std::vector<float>(first, first + 32),
                                        kCount, frequencies, false));
  }
  std::vector<double> total(2, 0);
  std::vector<double> sum(2 * 8, 0);
  for (uint64_t seq = 0; seq < kCount; ++seq) {
    const std::vector<double> key =
        reference::Rotate(std::vector<float>(keys.begin() + seq * 32,
                                             keys.begin() + (seq + 1) * 32),
                          seq, frequencies, false);
    for (size_t head = 0; head < 2; ++head) {
      const double logit = m * m / std::sqrt(32.0) *
                           std::inner_product(key.begin(), key.end(),
                                              queries[head].begin(), 0.0);
      const double weight = std::exp(logit);
      total[head] += weight;
      for (size_t i = 0; i < 8; ++i) {
        sum[head * 8 + i] += weight * values[seq * 8 + i];
      }
    }
  }
  for (size_t head = 0; head < 2; ++head) {
    EXPECT_NEAR(result.outputs[0].lse[head], std::log(total[head]), 1e-5);
    for (size_t i = 0; i < 8; ++i) {
      EXPECT_NEAR(result.outputs[0].output[head * 8 + i],
                  sum[head * 8 + i] / total[head], 1e-5);
    }
  }
}

}  // namespace
}  // namespace mneme::memory
