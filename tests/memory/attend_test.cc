#include "memory/attend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

#include "gtest/gtest.h"
#include "tests/memory/fixture.h"
#include "tests/memory/oracle.h"
#include "tests/memory/rows_fixture.h"
#include "tests/reference/attention.h"

namespace mneme::memory {
namespace {

using testing::Random;
using testing::Seed;

PositionRule RandomRule(Random& random, std::vector<PositionPolicy> policies) {
  PositionRule rule;
  rule.policy = policies[random.Int(0, policies.size() - 1)];
  if (rule.policy == PositionPolicy::kConst ||
      rule.policy == PositionPolicy::kClamp) {
    rule.distance = random.Int(0, 300);
  }
  return rule;
}

attention::PositionConfig RandomPosition(const Profile& profile,
                                         Random& random) {
  using attention::PositionFamily;
  attention::PositionConfig position;
  const std::vector<PositionFamily> families = {
      PositionFamily::kNone,        PositionFamily::kRope,
      PositionFamily::kYarn,        PositionFamily::kDynamicNtk,
      PositionFamily::kXpos,        PositionFamily::kAlibi,
      PositionFamily::kRelativeBias};
  position.family = families[random.Int(0, families.size() - 1)];
  position.layout = static_cast<attention::RotaryLayout>(random.Int(0, 1));
  position.yarn = {.factor = 4, .original_length = 64};
  position.dynamic_ntk = {.factor = 2, .max_position = 200};
  if (random.Int(0, 1)) position.alibi.clip_distance = random.Int(0, 200);
  position.relative_bias.biases =
      random.Normals(profile.query_heads * random.Int(1, 40));
  return position;
}

KnnTier RandomKnn(const Profile& profile, Random& random) {
  using enum PositionPolicy;
  const bool has_bias =
      profile.position.family == attention::PositionFamily::kAlibi ||
      profile.position.family == attention::PositionFamily::kRelativeBias;
  KnnTier knn;
  knn.positions = RandomRule(
      random,
      has_bias ? std::vector{kAbsolute, kNone, kClamp}
               : std::vector{kAbsolute, kConst, kNone, kClamp, kLocalOrigin});
  if (random.Int(0, 2) == 0) knn.chunk_tokens = random.Int(2, 9);
  knn.top_k = knn.chunk_tokens * random.Int(0, 12);
  knn.scope = static_cast<SelectionScope>(random.Int(0, 1));
  if (random.Int(0, 2) == 0 && profile.dtype == attention::DType::kF32) {
    knn.dtype = static_cast<attention::DType>(random.Int(1, 2));
  }
  if (random.Int(0, 2) == 0) knn.max_tokens = random.Int(9, 200);
  if (random.Int(0, 2) == 0) {
    knn.gate_logits = random.Normals(profile.query_heads);
    knn.empty_memory = static_cast<attention::EmptyMemory>(random.Int(0, 1));
  }
  return knn;
}

// Any setting that can stand beside any other.
Profile RandomProfile(Random& random) {
  Profile profile;
  profile.layers = random.Int(1, 2);
  profile.kv_heads = random.Int(1, 3);
  profile.query_heads = profile.kv_heads * random.Int(1, 3);
  profile.key_dim = 2 * random.Int(2, 9);
  profile.value_dim = random.Int(1, 20);
  profile.dtype = static_cast<attention::DType>(random.Int(0, 2));
  profile.position = RandomPosition(profile, random);
  profile.normalization = static_cast<Normalization>(random.Int(0, 2));
  if (random.Int(0, 2) == 0) profile.logit_softcap = random.Uniform(0.5, 5);
  if (random.Int(0, 2) == 0) {
    for (uint32_t i = 0; i < profile.query_heads; ++i) {
      profile.head_scales.push_back(random.Uniform(0.2, 3));
    }
  }
  if (random.Int(0, 2)) profile.knn = RandomKnn(profile, random);
  if (!profile.knn || random.Int(0, 2)) {
    profile.window =
        WindowTier{.tokens = static_cast<uint32_t>(random.Int(1, 90)),
                   .commit = static_cast<CommitPolicy>(random.Int(0, 4))};
  }
  if (random.Int(0, 1)) {
    profile.compressive = CompressiveTier{
        .segment_tokens = static_cast<uint32_t>(random.Int(1, 40)),
        .update = static_cast<UpdateRule>(random.Int(0, 1)),
        .gate_logits = random.Normals(profile.query_heads),
        .empty_memory = static_cast<attention::EmptyMemory>(random.Int(0, 1))};
  }
  if (profile.window && profile.window->commit == CommitPolicy::kSegment) {
    if (profile.compressive)
      profile.window->tokens = 0;
    else
      profile.window->commit = CommitPolicy::kToken;
  }
  if (profile.window && profile.window->commit == CommitPolicy::kBlock) {
    profile.window->block_tokens = random.Int(1, 30);
    if (profile.knn && random.Int(0, 1)) {
      // A landmark is the last of two tokens or more.
      const uint32_t chunk = random.Int(2, 9);
      profile.knn->chunk_tokens = chunk;
      profile.knn->top_k = chunk * random.Int(0, 12);
      profile.knn->chunk_score = ChunkScore::kLandmark;
      profile.window->block_tokens = chunk * random.Int(1, 3);
    }
  }
  const bool ranks = profile.window && random.Int(0, 3) == 0;
  if (ranks) profile.window->positions.policy = PositionPolicy::kCacheRank;
  if (random.Int(0, 1)) {
    profile.sink = SinkTier{.tokens = static_cast<uint32_t>(random.Int(1, 5))};
    using enum PositionPolicy;
    profile.sink->positions =
        ranks ? PositionRule{.policy = kCacheRank}
              : RandomRule(random, {kAbsolute, kNone, kClamp});
  }
  const auto complete = Complete(profile);
  EXPECT_TRUE(complete.ok()) << complete.status();
  return complete.ok() ? *complete : SmallProfile();
}

struct Case {
  explicit Case(Profile made, uint64_t count, Random& random)
      : profile(std::move(made)),
        encoder(attention::PositionEncoder::Create(
                    profile.position, static_cast<int>(profile.key_dim))
                    .value()),
        view(ViewOf(profile,
                    RandomRows(profile, count, random.Int(1, 5), random),
                    count)) {}

  void Forget(Random& random) {
    auto forgotten = std::make_shared<SeqSet>();
    for (int i = random.Int(0, 4); i > 0 && view.seq_next > 0; --i) {
      const uint64_t begin = random.Int(0, view.seq_next - 1);
      forgotten->Add(
          {begin, std::min<uint64_t>(view.seq_next, begin + random.Int(1, 9))});
    }
    view.forgotten = forgotten;
  }
  void MakeFold() {
    if (!profile.compressive) return;
    auto fold = std::make_shared<Fold>(profile);
    fold->AbsorbUpTo(profile, *view.rows, *view.forgotten,
                     AbsorbedEnd(profile, view.ranges()));
    view.fold = std::move(fold);
  }

  Profile profile;
  attention::PositionEncoder encoder;
  LogView view;
};

std::vector<float> RandomGates(size_t count, Random& random) {
  std::vector<float> gates(count);
  for (float& gate : gates) gate = static_cast<float>(random.Uniform(0, 1));
  return gates;
}

TEST(Attend, AgreesWithDoubleForEveryKindOfProfile) {
  Random random(Seed());
  int rows = 0;
  int undecided = 0;
  for (int round = 0; round < 300; ++round) {
    SCOPED_TRACE(round);
    Case c(RandomProfile(random), random.Int(0, 400), random);
    if (c.profile.window && random.Int(0, 1) &&
        c.profile.window->commit != CommitPolicy::kSegment) {
      c.view.committed_seq = random.Int(0, c.view.seq_next);
    }
    c.Forget(random);
    c.MakeFold();
    const Oracle oracle(c.view, c.encoder);
    AttendQuery query = RandomQuery(c.profile, random.Int(1, 3), random);
    if (random.Int(0, 2) == 0) {
      query.top_k =
          random.Int(0, 10) * (c.profile.knn ? c.profile.knn->chunk_tokens : 1);
    }
    for (LayerRead& read : query.reads) {
      // Behind the state, anywhere else without one.
      const bool anywhere = !c.profile.compressive && random.Int(0, 1);
      for (size_t r = 0; anywhere && r < read.rows; ++r) {
        read.positions.push_back(random.Int(0, c.view.position_next + 9));
      }
      const size_t gates = c.profile.query_heads * read.rows;
      if (random.Int(0, 1) && c.profile.knn &&
          !c.profile.knn->gate_logits.empty()) {
        read.knn_gates = RandomGates(gates, random);
      }
      if (random.Int(0, 1) && c.profile.compressive) {
        read.compressive_gates = RandomGates(gates, random);
      }
    }
    ASSERT_TRUE(CheckAttendQuery(c.profile, query).ok());
    const auto result = AttendOver(c.view, c.encoder, query, Never);
    ASSERT_TRUE(result.ok()) << result.status();
    for (size_t l = 0; l < query.reads.size(); ++l) {
      const LayerRead& read = query.reads[l];
      const LayerOutput& output = result->outputs[l];
      bool all_saw = true;
      for (uint32_t head = 0; head < c.profile.query_heads; ++head) {
        for (size_t r = 0; r < read.rows; ++r) {
          const size_t row = head * read.rows + r;
          const Expected expected = oracle.Attend(query, read, head, r);
          ++rows;
          if (expected.undecided) {
            ++undecided;
            continue;
          }
          if (std::isinf(expected.lse)) {
            ASSERT_EQ(output.lse[row], expected.lse);
            all_saw = false;
          } else {
            ASSERT_NEAR(output.lse[row], expected.lse, expected.lse_error);
          }
          for (size_t i = 0; i < c.profile.value_dim; ++i) {
            ASSERT_NEAR(output.output[row * c.profile.value_dim + i],
                        expected.out[i], expected.error[i] + 1e-30)
                << "head " << head << " row " << r << " of " << c.view.seq_next;
          }
        }
      }
      // Each tier's share is rounded with its lse, a float of size |lse|.
      const double total =
          std::accumulate(output.shares.begin(), output.shares.end(), 0.0);
      if (all_saw) {
        EXPECT_NEAR(total, 1, 1e-5);
      }
    }
  }
  // What is skipped is rare enough to prove nothing wrong.
  EXPECT_LT(undecided, rows / 20);
}

Case WindowAndKnn(Random& random) {
  Profile profile = SmallProfile();
  profile.compressive.reset();
  profile.position.family = attention::PositionFamily::kRope;
  profile.knn->positions.policy = PositionPolicy::kAbsolute;
  return Case(Complete(profile).value(), 300, random);
}

TEST(Attend, RowsAtEarlierPositionsSeeNothingLater) {
  Random random(Seed());
  Case c = WindowAndKnn(random);
  AttendQuery query = RandomQuery(c.profile, 4, random);
  const auto& first = (*c.view.rows)[0]->positions();
  const auto& last = (*c.view.rows)[2]->positions();
  query.top_items = kTopItemsMax;
  for (LayerRead& read : query.reads) {
    read.positions = {first[100], first[100] - 1, last[20], 0};
  }
  const AttendResult before =
      AttendOver(c.view, c.encoder, query, Never).value();
  for (const LayerOutput& output : before.outputs) {
    for (const AttendedItem& item : output.items) {
      EXPECT_LE(item.position, query.reads[0].positions[item.row]);
    }
  }
  // The future may be anything.
  for (uint64_t seq = 101; seq < 128; ++seq) {
    RowBlock& block = *(*c.view.rows)[0];
    for (size_t bank = 0; bank < c.profile.bank_count(); ++bank) {
      std::memset(block.keys(bank) + seq * c.profile.key_bytes(), 0x3F,
                  c.profile.key_bytes());
      std::memset(block.values(bank) + seq * c.profile.value_bytes(), 0x3F,
                  c.profile.value_bytes());
    }
  }
  const AttendResult after =
      AttendOver(c.view, c.encoder, query, Never).value();
  const size_t dim = c.profile.value_dim;
  for (size_t l = 0; l < before.outputs.size(); ++l) {
    for (uint32_t head = 0; head < c.profile.query_heads; ++head) {
      for (const size_t r : {0, 1, 3}) {
        const size_t row = head * 4 + r;
        EXPECT_EQ(after.outputs[l].lse[row], before.outputs[l].lse[row]);
        for (size_t i = 0; i < dim; ++i) {
          EXPECT_EQ(after.outputs[l].output[row * dim + i],
                    before.outputs[l].output[row * dim + i]);
        }
      }
    }
  }
}

TEST(Attend, TiersReadApartMergeBackToTheWhole) {
  Random random(Seed());
  Case c = WindowAndKnn(random);
  AttendQuery query = RandomQuery(c.profile, 2, random);
  const AttendResult whole =
      AttendOver(c.view, c.encoder, query, Never).value();
  std::vector<AttendResult> parts;
  for (const Tier tier : {Tier::kSink, Tier::kKnn, Tier::kWindow}) {
    query.tiers = {tier};
    parts.push_back(AttendOver(c.view, c.encoder, query, Never).value());
    const TierShares& shares = parts.back().outputs[0].shares;
    EXPECT_EQ(shares[static_cast<size_t>(tier)], 1.0);
  }
  const size_t dim = c.profile.value_dim;
  for (size_t l = 0; l < whole.outputs.size(); ++l) {
    for (size_t row = 0; row < whole.outputs[l].lse.size(); ++row) {
      double total = 0;
      std::vector<double> out(dim);
      std::vector<double> magnitude(dim);
      for (const AttendResult& part : parts) {
        const double weight = std::exp(double{part.outputs[l].lse[row]});
        total += weight;
        for (size_t i = 0; i < dim; ++i) {
          const double value = part.outputs[l].output[row * dim + i];
          out[i] += weight * value;
          magnitude[i] += weight * std::abs(value);
        }
      }
      const double lse = whole.outputs[l].lse[row];
      // Every lse is rounded to a float, and the merge rounds a few times.
      const double units = (4 * std::abs(lse) + 12) * kUnit;
      EXPECT_NEAR(lse, std::log(total), units);
      for (size_t i = 0; i < dim; ++i) {
        EXPECT_NEAR(whole.outputs[l].output[row * dim + i], out[i] / total,
                    units * magnitude[i] / total);
      }
    }
  }
}

TEST(Attend, TopItemsAreTheLargestSharesInOrder) {
  Random random(Seed());
  Case c = WindowAndKnn(random);
  AttendQuery query = RandomQuery(c.profile, 2, random);
  query.top_items = kTopItemsMax;
  query.top_k = 0;
  const AttendResult result =
      AttendOver(c.view, c.encoder, query, Never).value();
  const TierRanges ranges = c.view.ranges();
  for (const LayerOutput& output : result.outputs) {
    EXPECT_EQ(output.items.size(),
              size_t{kTopItemsMax} * c.profile.query_heads * 2);
    for (size_t i = 0; i < output.items.size(); ++i) {
      const AttendedItem& item = output.items[i];
      const double lse = output.lse[item.head * 2 + item.row];
      // The lse that is answered is rounded to a float.
      EXPECT_NEAR(item.share, std::exp(item.logit - lse),
                  item.share * 2 * (1 + std::abs(lse)) * kUnit);
      EXPECT_EQ(item.tier, item.seq < ranges.sink.end       ? Tier::kSink
                           : item.seq < ranges.window.begin ? Tier::kKnn
                                                            : Tier::kWindow);
      if (i % kTopItemsMax > 0) {
        EXPECT_LE(item.logit, output.items[i - 1].logit);
      }
    }
  }
  // With every key among the items, the shares add up to one.
  Case few(c.profile, 50, random);
  query = RandomQuery(c.profile, 1, random);
  query.top_items = kTopItemsMax;
  const AttendResult whole =
      AttendOver(few.view, few.encoder, query, Never).value();
  for (const LayerOutput& output : whole.outputs) {
    std::vector<double> sums(c.profile.query_heads);
    for (const AttendedItem& item : output.items) {
      sums[item.head] += item.share;
    }
    for (const double sum : sums) EXPECT_NEAR(sum, 1, 1e-5);
  }
}

TEST(Attend, OverflowIsOutOfRangeAndNotAnAnswer) {
  Random random(Seed());
  for (const bool in_window : {true, false}) {
    Case c = WindowAndKnn(random);
    const uint64_t seq = in_window ? 290 : 100;
    RowBlock& block = *(*c.view.rows)[seq / kBlockTokens];
    auto* key = reinterpret_cast<float*>(block.keys(0)) +
                seq % kBlockTokens * c.profile.key_dim;
    // Products of both signs: infinity less infinity is no number.
    for (uint32_t i = 0; i < c.profile.key_dim; ++i) {
      key[i] = i % 2 ? 3e38F : -3e38F;
    }
    for (const uint32_t top_items : {0u, 5u}) {
      AttendQuery query = RandomQuery(c.profile, 1, random);
      query.top_items = top_items;
      query.reads[0].queries.assign(query.reads[0].queries.size(), 100);
      const auto result = AttendOver(c.view, c.encoder, query, Never);
      EXPECT_EQ(result.status().code(), absl::StatusCode::kOutOfRange)
          << "in window: " << in_window;
      EXPECT_EQ(ReasonOf(result.status()), "LOGIT_OVERFLOW");
    }
  }
}

// Nothing else is visible to hide the number that is none.
TEST(Attend, OverflowOfEveryKeyIsOutOfRangeToo) {
  Random random(Seed());
  Profile profile = SmallProfile();
  profile.compressive.reset();
  Case c(profile, 4, random);
  for (size_t bank = 0; bank < profile.bank_count(); ++bank) {
    auto* keys = reinterpret_cast<float*>((*c.view.rows)[0]->keys(bank));
    for (size_t i = 0; i < 4 * profile.key_dim; ++i) {
      keys[i] = i % 2 ? 3e38F : -3e38F;
    }
  }
  AttendQuery query = RandomQuery(profile, 1, random);
  query.reads[0].queries.assign(query.reads[0].queries.size(), 100);
  EXPECT_EQ(AttendOver(c.view, c.encoder, query, Never).status().code(),
            absl::StatusCode::kOutOfRange);
}

TEST(Attend, OverflowOfTheCompressiveReadIsOutOfRangeToo) {
  Random random(Seed());
  Profile profile = SmallProfile();
  profile.knn.reset();
  Case c(profile, 100, random);
  c.MakeFold();
  AttendQuery query = RandomQuery(profile, 1, random);
  query.tiers = {Tier::kCompressive};
  query.reads[0].queries.assign(query.reads[0].queries.size(), 3e38F);
  EXPECT_EQ(AttendOver(c.view, c.encoder, query, Never).status().code(),
            absl::StatusCode::kOutOfRange);
}

TEST(Attend, WhatDoesNotFitTheProfileIsRefusedByField) {
  Random random(Seed());
  const Profile profile = SmallProfile();
  const AttendQuery good = RandomQuery(profile, 2, random);
  EXPECT_TRUE(CheckAttendQuery(profile, good).ok());
  const auto field = [&](auto spoil) {
    AttendQuery query = good;
    spoil(query);
    const absl::Status status = CheckAttendQuery(profile, query);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return FieldOf(status);
  };
  EXPECT_EQ(field([](AttendQuery& q) { q.reads.clear(); }), "reads");
  EXPECT_EQ(field([](AttendQuery& q) { q.reads[1].layer = 2; }), "reads.layer");
  EXPECT_EQ(field([](AttendQuery& q) { q.reads[0].queries.pop_back(); }),
            "reads.queries");
  EXPECT_EQ(field([](AttendQuery& q) { q.reads[0].rows = 3; }),
            "reads.queries");
  EXPECT_EQ(field([](AttendQuery& q) {
              q.reads[0].rows = 0;
              q.reads[0].queries.clear();
            }),
            "reads.queries");
  EXPECT_EQ(field([](AttendQuery& q) { q.reads[0].positions = {1}; }),
            "reads.positions");
  EXPECT_EQ(field([](AttendQuery& q) {
              q.reads[0].positions = {1, -1};
            }),
            "reads.positions");
  EXPECT_EQ(field([](AttendQuery& q) {
              q.reads[0].positions = {1, kPositionMax + 1};
            }),
            "reads.positions");
  EXPECT_EQ(field([](AttendQuery& q) { q.top_k = kTopKMax + 1; }),
            "selection.top_k");
  EXPECT_EQ(field([](AttendQuery& q) { q.top_items = kTopItemsMax + 1; }),
            "top_items");
  Profile plain = profile;
  plain.sink.reset();
  plain.knn.reset();
  plain.compressive.reset();
  for (const Tier tier : {Tier::kSink, Tier::kKnn, Tier::kCompressive}) {
    AttendQuery query = good;
    query.tiers = {Tier::kWindow, tier};
    EXPECT_EQ(FieldOf(CheckAttendQuery(plain, query)), "tiers");
  }
}

TEST(Attend, ARowBehindTheCompressiveStateIsRefusedUnlessItDoesNotReadIt) {
  Random random(Seed());
  const Profile profile = SmallProfile();
  Case c(profile, 200, random);
  c.MakeFold();
  ASSERT_GT(c.view.fold->absorbed_seq, 0u);
  const uint64_t last = c.view.fold->absorbed_seq - 1;
  const int64_t absorbed_to =
      (*c.view.rows)[last / kBlockTokens]->positions()[last % kBlockTokens];
  AttendQuery query = RandomQuery(profile, 1, random);
  for (LayerRead& read : query.reads) read.positions = {absorbed_to - 1};
  EXPECT_EQ(FieldOf(AttendOver(c.view, c.encoder, query, Never).status()),
            "reads.positions");
  query.tiers = {Tier::kSink, Tier::kKnn, Tier::kWindow};
  EXPECT_TRUE(AttendOver(c.view, c.encoder, query, Never).ok());
  query.tiers.clear();
  for (LayerRead& read : query.reads) read.positions = {absorbed_to};
  EXPECT_TRUE(AttendOver(c.view, c.encoder, query, Never).ok());
}

TEST(Attend, StopsWhenTheCallerIsGone) {
  Random random(Seed());
  Case c = WindowAndKnn(random);
  const AttendQuery query = RandomQuery(c.profile, 1, random);
  for (int after = 0; after < 4; ++after) {
    int asked = 0;
    const auto result =
        AttendOver(c.view, c.encoder, query, [&] { return asked++ >= after; });
    EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
  }
}

TEST(Attend, AnAnswerDoesNotDependOnItsCompany) {
  Random random(Seed());
  Case c = WindowAndKnn(random);
  const AttendQuery together = RandomQuery(c.profile, 20, random);
  const AttendResult all =
      AttendOver(c.view, c.encoder, together, Never).value();
  const size_t dim = c.profile.key_dim;
  for (const size_t row : {0, 7, 19}) {
    AttendQuery alone;
    alone.reads = {{.layer = 1, .rows = 1}};
    for (uint32_t head = 0; head < c.profile.query_heads; ++head) {
      const auto from =
          together.reads[1].queries.begin() + (head * 20 + row) * dim;
      alone.reads[0].queries.insert(alone.reads[0].queries.end(), from,
                                    from + dim);
    }
    const AttendResult one =
        AttendOver(c.view, c.encoder, alone, Never).value();
    for (uint32_t head = 0; head < c.profile.query_heads; ++head) {
      EXPECT_EQ(one.outputs[0].lse[head], all.outputs[1].lse[head * 20 + row]);
      for (size_t i = 0; i < c.profile.value_dim; ++i) {
        EXPECT_EQ(
            one.outputs[0].output[head * c.profile.value_dim + i],
            all.outputs[1].output[(head * 20 + row) * c.profile.value_dim + i]);
      }
    }
  }
}

}  // namespace
}  // namespace mneme::memory
