#include "memory/tiers.h"

#include "gtest/gtest.h"

namespace mneme::memory {
namespace {

Profile Sliding(uint32_t sink, uint32_t window) {
  Profile profile;
  profile.sink_tokens = sink;
  profile.window = WindowTier{.tokens = window};
  profile.knn = KnnTier{};
  return profile;
}

Profile Segments(uint32_t segment) {
  Profile profile;
  profile.window = WindowTier{.policy = CommitPolicy::kSegment};
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
          const TierRanges ranges = RangesOf(profile, seq_next, forgotten);
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
  const TierRanges ranges = RangesOf(Sliding(4, 10), 12, {});
  EXPECT_EQ(ranges.sink, (SeqRange{0, 2}));
  EXPECT_TRUE(ranges.knn.empty());
  EXPECT_EQ(ranges.window, (SeqRange{2, 12}));
}

TEST(Tiers, WithoutAWindowEverythingIsKnn) {
  Profile profile = Sliding(2, 1);
  profile.window.reset();
  const TierRanges ranges = RangesOf(profile, 9, {});
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
      EXPECT_EQ(AbsorbedEnd(profile, seq_next), closed);
      const TierRanges ranges = RangesOf(profile, seq_next, {});
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
        const uint64_t end = AbsorbedEnd(profile, seq_next);
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
  EXPECT_EQ(AbsorbedEnd(profile, 7), 4u);
  EXPECT_EQ(AbsorbedEnd(profile, 8), 8u);
}

TEST(Tiers, ForgettingDoesNotMoveTheBordersOfSegments) {
  SeqSet forgotten;
  forgotten.Add({2, 7});
  EXPECT_EQ(RangesOf(Segments(4), 10, forgotten).window, (SeqRange{8, 10}));
}

}  // namespace
}  // namespace mneme::memory
