#include "memory/tiers.h"

#include "gtest/gtest.h"
#include "tests/testing/random.h"

namespace mneme::memory {
namespace {

using testing::Random;
using testing::Seed;

Profile Sliding(uint32_t sink, uint32_t window) {
  Profile profile;
  profile.sink = SinkTier{.tokens = sink};
  profile.window = WindowTier{.tokens = window};
  profile.knn = KnnTier{};
  return profile;
}

Profile Segments(uint32_t segment) {
  Profile profile;
  profile.window = WindowTier{.commit = CommitPolicy::kSegment};
  profile.compressive =
      CompressiveTier{.segment_tokens = segment, .gate_logits = {0}};
  return profile;
}

// Every subset of a short log forgotten.
TEST(Tiers, TogetherTheyHoldEveryLiveTokenOnceWhateverWasForgotten) {
  for (uint32_t sink = 0; sink <= 3; ++sink) {
    for (uint32_t window = 1; window <= 5; ++window) {
      const Profile profile = Sliding(sink, window);
      for (uint64_t seq_next = 0; seq_next <= 8; ++seq_next) {
        for (uint32_t mask = 0; mask < 1u << seq_next; ++mask) {
          SeqSet forgotten;
          for (uint64_t seq = 0; seq < seq_next; ++seq) {
            if (mask >> seq & 1) forgotten.Add({seq, seq + 1});
          }
          const TierRanges ranges = RangesOf(profile, seq_next, forgotten, 0);
          ASSERT_EQ(ranges.sink.begin, 0u);
          ASSERT_EQ(ranges.sink.end, ranges.knn.begin);
          ASSERT_EQ(ranges.knn.end, ranges.window.begin);
          ASSERT_EQ(ranges.window.end, seq_next);
          ASSERT_LE(ranges.sink.size(), sink);
          const uint64_t live = seq_next - __builtin_popcount(mask);
          ASSERT_EQ(ranges.window.size() - forgotten.CountIn(ranges.window),
                    std::min<uint64_t>(window, live));
        }
      }
    }
  }
}

TEST(Tiers, TheSinkStopsWhereTheWindowBegins) {
  const TierRanges ranges = RangesOf(Sliding(4, 10), 12, {}, 0);
  EXPECT_EQ(ranges.sink, (SeqRange{0, 2}));
  EXPECT_TRUE(ranges.knn.empty());
  EXPECT_EQ(ranges.window, (SeqRange{2, 12}));
}

TEST(Tiers, WithoutAWindowEverythingIsKnn) {
  Profile profile = Sliding(2, 1);
  profile.window.reset();
  const TierRanges ranges = RangesOf(profile, 9, {}, 0);
  EXPECT_EQ(ranges.sink, (SeqRange{0, 2}));
  EXPECT_EQ(ranges.knn, (SeqRange{2, 9}));
  EXPECT_TRUE(ranges.window.empty());
}

TEST(Tiers, AFullSegmentClosesWhenTheTokenAfterItArrives) {
  for (uint32_t segment = 1; segment <= 5; ++segment) {
    const Profile profile = Segments(segment);
    for (uint64_t seq_next = 0; seq_next <= 20; ++seq_next) {
      const uint64_t closed =
          seq_next == 0 ? 0 : (seq_next - 1) / segment * segment;
      EXPECT_EQ(AbsorbedEnd(profile, RangesOf(profile, seq_next, {}, 0)),
                closed);
      const TierRanges ranges = RangesOf(profile, seq_next, {}, 0);
      // What is not absorbed is in the window, and nothing is in both.
      EXPECT_EQ(ranges.window, (SeqRange{closed, seq_next}));
    }
  }
}

TEST(Tiers, WholeSegmentsThatLeftASlidingWindowAreAbsorbed) {
  for (uint32_t segment = 1; segment <= 5; ++segment) {
    for (uint32_t window = 1; window <= 6; ++window) {
      Profile profile = Segments(segment);
      profile.window = WindowTier{.tokens = window};
      for (uint64_t seq_next = 0; seq_next <= 20; ++seq_next) {
        const uint64_t end =
            AbsorbedEnd(profile, RangesOf(profile, seq_next, {}, 0));
        EXPECT_EQ(end % segment, 0u);
        EXPECT_LE(end + std::min<uint64_t>(window, seq_next), seq_next);
        // One more segment would reach into the window.
        EXPECT_GT(end + segment + window, seq_next);
      }
    }
  }
}

TEST(Tiers, WithoutAWindowWholeSegmentsAreAbsorbedAtOnce) {
  Profile profile = Segments(4);
  profile.window.reset();
  EXPECT_EQ(AbsorbedEnd(profile, RangesOf(profile, 7, {}, 0)), 4u);
  EXPECT_EQ(AbsorbedEnd(profile, RangesOf(profile, 8, {}, 0)), 8u);
}

TEST(Tiers, ForgettingDoesNotMoveTheBordersOfSegments) {
  SeqSet forgotten;
  forgotten.Add({2, 7});
  EXPECT_EQ(RangesOf(Segments(4), 10, forgotten, 0).window, (SeqRange{8, 10}));
}

// The log as appends and commits by hand left it, the policies as the wire
// states them.
TEST(Tiers, EveryCommitPolicyHoldsWhatItSays) {
  Random random(Seed());
  for (int round = 0; round < 200; ++round) {
    const auto tokens = static_cast<uint32_t>(random.Int(1, 12));
    const auto block = static_cast<uint32_t>(random.Int(1, 6));
    for (const CommitPolicy commit :
         {CommitPolicy::kToken, CommitPolicy::kBlock, CommitPolicy::kDump,
          CommitPolicy::kStep}) {
      Profile profile = Sliding(0, tokens);
      profile.window->commit = commit;
      if (commit == CommitPolicy::kBlock) profile.window->block_tokens = block;
      uint64_t seq_next = 0;
      uint64_t committed = 0;
      uint64_t window_begin = 0;  // By the words of the policy.
      for (int step = 0; step < 20; ++step) {
        const auto count = static_cast<uint64_t>(random.Int(1, 9));
        const uint64_t held = seq_next - window_begin;
        if (commit == CommitPolicy::kDump && held + count > tokens) {
          window_begin = seq_next;
        }
        if (commit == CommitPolicy::kStep && held > tokens) {
          window_begin = seq_next - tokens;
        }
        committed = CommittedBefore(profile, seq_next, {}, committed, count);
        seq_next += count;
        if (commit == CommitPolicy::kToken) {
          while (seq_next - window_begin > tokens) ++window_begin;
        }
        if (commit == CommitPolicy::kBlock) {
          while ((window_begin / block + 1) * block + tokens <= seq_next) {
            window_begin = (window_begin / block + 1) * block;
          }
        }
        ASSERT_EQ(RangesOf(profile, seq_next, {}, committed).window,
                  (SeqRange{window_begin, seq_next}));
      }
    }
  }
}

TEST(Tiers, TheQuotaEvictsTheOldestTokensAndWholeChunks) {
  Profile profile = Sliding(2, 3);
  profile.knn->max_tokens = 10;
  EXPECT_EQ(RangesOf(profile, 15, {}, 0).knn, (SeqRange{2, 12}));
  EXPECT_EQ(RangesOf(profile, 20, {}, 0).knn, (SeqRange{7, 17}));
  profile.knn->chunk_tokens = 4;
  EXPECT_EQ(RangesOf(profile, 20, {}, 0).knn, (SeqRange{8, 17}));
  profile.knn->chunk_tokens = 32;  // Not one whole chunk fits.
  EXPECT_TRUE(RangesOf(profile, 20, {}, 0).knn.empty());
  // What is forgotten does not count.
  profile.knn->chunk_tokens = 1;
  SeqSet forgotten;
  forgotten.Add({10, 14});
  EXPECT_EQ(RangesOf(profile, 20, forgotten, 0).knn, (SeqRange{3, 17}));
}

}  // namespace
}  // namespace mneme::memory
