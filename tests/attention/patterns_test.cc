#include "attention/patterns.h"

#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/attention/patterns_fixture.h"
#include "tests/reference/patterns.h"
#include "tests/reference/rope.h"
#include "tests/testing/random.h"

namespace mneme::attention {
namespace {

using testing::Random;
using testing::Seed;

// Zero by the mask, or the head's own logits where it is 1 or more.
std::vector<reference::Attended> Reference(const RandomHead& head,
                                           const reference::Matrix& times) {
  return reference::AttendWhere(
      head.values, head.rows.tokens, head.rows.value_dim,
      [&](size_t i, size_t j) { return head.Logit(i, j); }, times);
}

TEST(SlidingWindow, SeesTheLastKeysOnly) {
  Random random(Seed());
  for (const size_t tokens : {1, 7, 150}) {
    for (const size_t window : {1, 2, 7, 64, 1000}) {
      RandomHead head(random, tokens, 24, 12);
      SlidingWindow(head.rows, window, head.out.data(), head.lse.data());
      head.Expect(Reference(head, [&](size_t i, size_t j) {
        return j <= i && i - j < window ? 1 : 0;
      }));
    }
  }
}

TEST(LambdaAttention, SeesTheFirstKeysAtTheCeilingAndTheLastAtTheirDistance) {
  Random random(Seed());
  const PositionEncoder encoder =
      PositionEncoder::Create({.family = PositionFamily::kRope}, 16).value();
  const std::vector<double> frequencies(encoder.inv_freq().begin(),
                                        encoder.inv_freq().end());
  for (int round = 0; round < 30; ++round) {
    const size_t tokens = random.Int(1, 80);
    const Lambda lambda = {static_cast<size_t>(random.Int(0, 20)),
                           static_cast<size_t>(random.Int(1, 40)),
                           random.Int(1, 60)};
    RandomHead head(random, tokens, 16, 8);
    LambdaAttention(head.rows, lambda, encoder, head.out.data(),
                    head.lse.data());
    const auto logit = [&](size_t i, size_t j) {
      const bool near = i - j < lambda.window;
      const int64_t distance =
          near ? static_cast<int64_t>(i - j) : lambda.distance;
      const std::vector<float> query(&head.queries[i * 16],
                                     &head.queries[i * 16] + 16);
      const std::vector<double> turned =
          reference::Rotate(query, distance, frequencies, false);
      double dot = 0;
      for (size_t d = 0; d < 16; ++d) dot += turned[d] * head.keys[j * 16 + d];
      return dot * head.rows.scale;
    };
    head.Expect(reference::AttendWhere(
        head.values, tokens, 8, logit, [&](size_t i, size_t j) {
          return j <= i && (i - j < lambda.window || j < lambda.global) ? 1 : 0;
        }));
  }
}

TEST(LambdaAttention, WithinTheWindowIsPlainCausalAttention) {
  Random random(Seed());
  const PositionEncoder none = PositionEncoder::Create({}, 16).value();
  RandomHead head(random, 30, 16, 8);
  LambdaAttention(head.rows, {4, 30, 5}, none, head.out.data(),
                  head.lse.data());
  head.Expect(
      Reference(head, [](size_t i, size_t j) { return j <= i ? 1 : 0; }));
}

TEST(DilatedAttention, CountsAKeyOnceForEachBranchThatShowsIt) {
  Random random(Seed());
  for (int round = 0; round < 40; ++round) {
    const size_t tokens = random.Int(1, 70);
    const size_t heads = random.Int(1, 6);
    const size_t index = random.Int(0, static_cast<int64_t>(heads) - 1);
    std::vector<Dilation> branches;
    for (int b = 0; b < 3; ++b) {
      branches.push_back({static_cast<size_t>(random.Int(1, 40)),
                          static_cast<size_t>(random.Int(1, 5))});
    }
    RandomHead head(random, tokens, 16, 8);
    DilatedAttention(head.rows, index, heads, branches, head.out.data(),
                     head.lse.data());
    head.Expect(Reference(head, [&](size_t i, size_t j) {
      double times = 0;
      for (const Dilation& branch : branches) {
        const size_t group = (heads + branch.ratio - 1) / branch.ratio;
        const size_t offset = index / group % branch.ratio;
        const auto takes_part = [&](size_t t) {
          return t % branch.segment % branch.ratio == offset;
        };
        times += j <= i && i / branch.segment == j / branch.segment &&
                 takes_part(i) && takes_part(j);
      }
      return times;
    }));
  }
}

TEST(DilatedAttention, ATokenOfNoBranchSeesNothing) {
  Random random(Seed());
  RandomHead head(random, 4, 8, 2);
  const std::vector<Dilation> branches = {{4, 2}};
  DilatedAttention(head.rows, 1, 2, branches, head.out.data(), head.lse.data());
  EXPECT_EQ(head.lse[0], -std::numeric_limits<float>::infinity());
  EXPECT_EQ(head.out[0], 0);
  EXPECT_GT(head.lse[1], -std::numeric_limits<float>::infinity());
}

TEST(ShiftedGroups, AttendAmongThemselvesAndCutTheEnds) {
  Random random(Seed());
  for (const size_t group : {1, 2, 5, 16, 100}) {
    for (const size_t shift : {size_t{0}, group / 2, group - 1}) {
      RandomHead head(random, 67, 16, 8);
      ShiftedGroups(head.rows, group, shift, head.out.data(), head.lse.data());
      // Counted from a whole group before the first shift.
      const auto group_of = [&](size_t t) {
        return (t + group - shift) / group;
      };
      head.Expect(Reference(head, [&](size_t i, size_t j) {
        return j <= i && group_of(i) == group_of(j) ? 1 : 0;
      }));
    }
  }
}

TEST(Patterns, NoTokensWriteNothing) {
  const HeadRows none = {nullptr, nullptr, nullptr, 0, 8, 8, 1};
  const PositionEncoder encoder =
      PositionEncoder::Create({.family = PositionFamily::kRope}, 8).value();
  const std::vector<Dilation> branches = {{4, 2}};
  SlidingWindow(none, 3, nullptr, nullptr);
  LambdaAttention(none, {1, 2, 2}, encoder, nullptr, nullptr);
  DilatedAttention(none, 0, 1, branches, nullptr, nullptr);
  ShiftedGroups(none, 4, 2, nullptr, nullptr);
}

}  // namespace
}  // namespace mneme::attention
